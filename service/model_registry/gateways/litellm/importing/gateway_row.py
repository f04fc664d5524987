"""Which gateway an import goes to: the named one, else the only one of the kind, else a new one. Pure."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator
from itertools import count

from model_registry.entities.gateway import Gateway
from model_registry.entities.provider import Provider
from model_registry.errors import AmbiguousName, Conflict
from model_registry.gateways.litellm.config import LitellmConfig, Table, texts_in
from model_registry.gateways.litellm.keys import key_variable
from model_registry.imports.plan import Planner, WantedRow
from model_registry.snapshot.snapshot import Snapshot

KIND = "litellm"


def gateway_of(snapshot: Snapshot, name: str | None, file: str) -> Gateway | str:
    """Return the row that an import goes to, or the name of a new one.

    Args:
        snapshot: the registry.
        name: the name that the caller gives.
        file: the path of the configuration.

    Raises:
        AmbiguousName: there are several, and no name is given.
        Conflict: the named one is of another kind, or has the content of one that is.
    """
    rows = [row for row in snapshot.gateways if row.kind == KIND]
    if name is None and len(rows) > 1:
        names = sorted(row.name for row in rows)
        message = f"there are several gateways of the kind {KIND}; name the one that this is for (--gateway NAME)"
        raise AmbiguousName(message, matches=names)
    if name is None and not rows:
        return _new_name(snapshot, file)
    row = next(iter(snapshot.gateways.where("name", name)), None) if name is not None else rows[0]
    if row is None:
        return str(name)
    if row.kind != KIND:
        message = f"gateway {row.name} is of the kind {row.kind}, and this is a configuration of {KIND}"
        raise Conflict(f"{message}; name another gateway (--gateway NAME), which is made if there is none")
    owner = next(iter(snapshot.gateways.where("name", row.content_of)), None)
    if row.content_of != row.name and (owner is None or owner.kind != KIND):
        message = f"gateway {row.name} has the content of {row.content_of}, which is of another kind"
        raise Conflict(f"{message}; set its content_of to {row.name} first, or name another gateway (--gateway NAME)")
    return row


def _new_name(snapshot: Snapshot, file: str) -> str:
    stem = posixpath.basename(file).partition(".")[0]
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", stem).strip("-_") or KIND
    taken = {row.name for row in snapshot.gateways}
    if name not in taken:
        return name
    return next(tried for n in count(2) if (tried := f"{name}-{n}") not in taken)


def import_gateway(
    row: Gateway, old: Gateway | None, providers: Iterable[Provider], config: LitellmConfig, planner: Planner
) -> Gateway:
    """Plan the gateway's row, and return it: it carries the providers of the configuration, and what it carried before.

    A new one whose providers wait for their keys (`only_with_key`) gets the variables that the configuration names as
    its environment: they are set where it runs today.

    Args:
        row: the row before the import, or a new one.
        old: the row before the import; None for a new one.
        providers: the rows of the configuration's providers.
        config: the configuration.
        planner: takes the row.
    """
    carried, environment = row.providers, row.environment
    names = {provider.name for provider in providers}
    if old is None or carried is not None:
        carried = sorted({*(carried or ()), *names})
    waiting = {p.api_key_env_var: p.name for p in providers if p.only_with_key and p.api_key_env_var}
    if old is None and waiting:
        environment = sorted({*waiting, *named_variables(config)})
    values: Table = {"providers": carried}
    if old is None:
        values |= {"name": row.name, "kind": row.kind, "content_of": row.content_of}
        values |= {"environment": environment} if environment else {}
    summary = f"of the kind {row.kind}, for the {len(names)} providers of this configuration"
    planner.upsert(WantedRow("gateways", "gateway", row.name, values, summary=summary), old, row.id)
    for variable, name in sorted(waiting.items()):
        if variable not in (environment or ()):
            to_do = f"model-registry gateways env {row.name} --add {variable}"
            planner.note("warning", "provider", name, f"is left out until the gateway has {variable}: {to_do}")
    return row.model_copy(update={"providers": carried, "environment": environment})


def named_variables(config: LitellmConfig) -> Iterator[str]:
    """Yield the environment variables that a configuration names."""
    yield from (name for text in texts_in(config.tree) if (name := key_variable(text)))
