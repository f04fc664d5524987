"""Which environment variables a configuration names, and for whom. Pure.

Measured with TensorZero 2026.6.0: it does not start while a variable is missing that a provider of `[models]` or
`[embedding_models]` names, or that its type reads by default; nor one of `gateway.relay`, or of an embedding model that
is named by a shorthand. Both places of `{default, fallback}` count. Another model's shorthand loads, and fails when it
is used. A variable that is set and empty is there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from model_registry.entities.base import Row
from model_registry.entities.config import ConfigSection
from model_registry.entities.function import Function
from model_registry.entities.function import Mapping as MappingRow
from model_registry.entities.model import Model
from model_registry.entities.provider import Provider
from model_registry.entities.provider_types import GATEWAY_TYPES, PROVIDER_TYPES, is_shorthand
from model_registry.gateways.kind import Variable
from model_registry.gateways.tensorzero.project import Table, as_table
from model_registry.gateways.tensorzero.rendering.provider_tables import why_provider_left_out
from model_registry.snapshot.snapshot import Snapshot

_LOCATION = re.compile(r"(?:env|path_from_env)::(.+)", re.DOTALL)
_MOST_SHOWN = 5
_EMBEDDING = "embedding_model"


class Need(NamedTuple):
    """That somebody needs a variable, before it is known what the settings of its provider type say."""

    by: str
    """Who, in words."""
    variable: str = ""
    type: str = ""
    """The type of provider whose default it is; empty: `variable` names it."""


def provider_needs(by: str, table: Table) -> Iterator[Need]:
    """Yield what a provider's table needs."""
    kind = GATEWAY_TYPES.get(table.get("type", ""))
    if kind is None:
        return
    for key, value in table.items():
        if kind.places(key):
            yield from (Need(by, name) for name in _named(value))
    if kind.credential and kind.credential.variable and kind.credential.key not in table:
        yield Need(by, type=kind.name)


def shorthand_needs(by: str, value: Any) -> Iterator[Need]:  # noqa: ANN401 (any TOML value)
    """Yield what the shorthands below a function or an evaluation need."""
    yield from (Need(by, type=kind) for _, kind in _shorthands(value))


def section_needs(name: str, value: object) -> Iterator[Need]:
    """Yield what a section needs."""
    if name == "gateway":
        relay = as_table(as_table(value).get("relay"))
        yield from (Need("gateway.relay", variable) for variable in _named(relay.get("api_key_location")))
    elif name == "evaluations":
        for key, evaluation in sorted(as_table(value).items()):
            yield from shorthand_needs(f"evaluation {key}", evaluation)


def variables(needs: Iterable[Need], provider_types: object) -> tuple[Variable, ...]:
    """Return the variables by name, each with all who need it; `provider_types` is the section of that name."""
    found: dict[str, set[str]] = {}
    for need in needs:
        for name in [need.variable] if need.variable else defaults(need.type, provider_types):
            found.setdefault(name, set()).add(need.by)
    return tuple(Variable(name, tuple(sorted(by))) for name, by in sorted(found.items()))


def defaults(kind_name: str, provider_types: object) -> tuple[str, ...]:
    """Return the variables that providers of a type read when their table names none."""
    kind = GATEWAY_TYPES[kind_name]
    if kind.credential is None or kind.credential.variable is None:
        return ()
    given = as_table(as_table(as_table(provider_types).get(kind_name)).get("defaults")).get(kind.credential.key)
    return (kind.credential.variable,) if given is None else tuple(_named(given))


def comment(named: Iterable[Variable]) -> str:
    """Write the variables as TOML comments; empty when there are none."""
    lines = [f"#   {each.name}: {_listed(each.needed_by)}" for each in named]
    return "\n".join(["# Must be set where the gateway runs:", *lines]) + "\n" if lines else ""


def row_needs(snapshot: Snapshot, row: Row) -> Iterator[str]:
    """Yield the variables without which a gateway does not start on a configuration with this row."""
    sections = snapshot.sections.where("name", "provider_types")
    types = sections[0].value if sections else None
    for need in _of_row(snapshot, row):
        yield from [need.variable] if need.variable else defaults(need.type, types)


def _of_row(snapshot: Snapshot, row: Row) -> Iterator[Need]:
    match row:
        case Provider() if why_provider_left_out(row) is None:
            kind = PROVIDER_TYPES[row.type]
            given: Table = {"type": kind.gateway_type}
            if kind.credential and row.api_key_env_var:
                given[kind.credential.key] = f"{kind.credential.scheme}{row.api_key_env_var}"
            elif kind.credential and kind.key_optional:
                given[kind.credential.key] = "none"
            own = {key: value for key, value in row.tensorzero.items() if key != "type"}
            yield from provider_needs("", _without_nulls(given | own))
        case Model() if row.active and (provider := snapshot.providers.get(row.provider_id)) is not None:
            kind = PROVIDER_TYPES[provider.type]
            for key, value in as_table(row.tensorzero.get("provider")).items():
                if kind.places(key):
                    yield from (Need("", name) for name in _named(value))
        case MappingRow():
            yield from (Need("", type=kind) for key, kind in _shorthands(row.tensorzero) if key == _EMBEDDING)
        case Function():
            own = as_table(row.tensorzero.get("variants"))
            yield from (Need("", type=kind) for key, kind in _shorthands(own) if key == _EMBEDDING)
        case ConfigSection(name="gateway"):
            yield from section_needs("gateway", row.value)


def _named(value: object) -> Iterator[str]:
    """Yield the variables that the location of a credential names."""
    if isinstance(value, str):
        if found := _LOCATION.fullmatch(value):
            yield found[1]
    elif isinstance(value, Mapping):
        for key in ("default", "fallback"):
            yield from _named(value.get(key))


def _shorthands(value: Any) -> Iterator[tuple[str, str]]:  # noqa: ANN401 (any TOML value)
    """Yield key and provider type of each model that is named by a shorthand."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            if key in {"model", _EMBEDDING} and isinstance(item, str):
                if found := is_shorthand(item):
                    yield key, found[0]
            else:
                yield from _shorthands(item)
    elif isinstance(value, list):
        for item in value:
            yield from _shorthands(item)


def _without_nulls(table: Table) -> Table:
    return {key: value for key, value in table.items() if value is not None}


def _listed(names: tuple[str, ...]) -> str:
    more = len(names) - _MOST_SHOWN
    return ", ".join(names[:_MOST_SHOWN]) + (f" and {more} more" if more > 0 else "")
