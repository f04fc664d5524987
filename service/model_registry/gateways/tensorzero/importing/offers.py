"""Reads a provider table of a project as an offer: one model, on one connection. `providers.py` finds its row.

A connection tells providers apart: type, base URL (in one spelling, the vendor's filled in), credentials, and what else
says where and as whom (region, project ...). Whatever else the table says belongs to the model.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from model_registry.entities.provider import Provider
from model_registry.entities.provider_types import GATEWAY_TYPES, PROVIDER_TYPES, ProviderType
from model_registry.entities.server_address import spelled_url
from model_registry.gateways.tensorzero.project import Path, Table
from model_registry.gateways.tensorzero.rendering.provider_tables import rendered_base

Defaults = dict[str, Any]
"""Provider type -> the credential location that a project's `provider_types` section gives it."""

_CONNECTION_KEYS = frozenset({
    "region", "allow_auto_detect_region", "location", "project_id",
    "access_key_id", "secret_access_key", "session_token", "api_key",
})  # fmt: skip
_ELSEWHERE = ("env::", "dynamic::", "path::")
"""Schemes of a base URL that the configuration does not hold: it is in a variable, or comes with each call."""


@dataclass(frozen=True, slots=True)
class Connection:
    """Address and credentials of a provider, in a form that can be compared."""

    gateway_type: str
    base: str | None
    credential: str
    """The location as canonical JSON, the gateway's default filled in."""
    more: str
    """The other keys that matter, as canonical JSON."""


@dataclass(frozen=True, slots=True)
class ImportedOffer:
    """A model of one provider table."""

    model: str
    section: str
    """models or embedding_models."""
    key: str
    """The provider's key inside the model."""
    path: Path
    model_id: str
    connection: Connection
    provider: Table
    """The columns of a new provider row, without its name."""
    extras: Table
    """The remaining keys of the table: they go with the model."""
    columns: dict[str, Path] = field(default_factory=dict)
    """Columns of the rows -> the keys they come from."""


def canonical(value: object) -> str:
    """Serialise a JSON value so that equal values have equal texts; 1, 1.0 and true differ."""
    return json.dumps(value, sort_keys=True)


def default_location(kind: ProviderType, defaults: Defaults) -> Any:  # noqa: ANN401 (as the table has it)
    """Return the location of the key that a table without one gets; None: that of the cloud's own tools."""
    if kind.credential is None:
        return None
    if kind.name in defaults:
        return defaults[kind.name]
    named = kind.credential.scheme == "env::" and kind.credential.key == "api_key_location"
    return f"env::{kind.credential.variable}" if named else None


def credential_defaults(sections: Iterable[Table]) -> Defaults:
    """Read the credential locations of `provider_types` sections; a later one wins."""
    defaults: Defaults = {}
    for section in sections:
        for name, table in section.items():
            given = table.get("defaults") if isinstance(table, dict) else None
            credential = GATEWAY_TYPES[name].credential if name in GATEWAY_TYPES else None
            if isinstance(given, dict) and credential and credential.key in given:
                defaults[name] = given[credential.key]
    return defaults


def connection_of(row: Provider, defaults: Defaults) -> Connection | None:
    """Return the connection of a provider's row; None: the gateway has no such type."""
    registry_type = PROVIDER_TYPES.get(row.type)
    if registry_type is None or registry_type.gateway_type is None:
        return None
    kind = GATEWAY_TYPES[registry_type.gateway_type]
    location = None
    if credential := kind.credential:
        if credential.key in row.tensorzero:
            location = row.tensorzero[credential.key]
        elif row.api_key_env_var:
            location = f"{credential.scheme}{row.api_key_env_var}"
        else:
            location = "none" if kind.key_optional else default_location(kind, defaults)
    base = row.tensorzero.get(kind.base_key, rendered_base(row)) if kind.base_key else None
    return _connection(kind, base, location, _connection_extras(kind, row.tensorzero))


def own_extras(row: Provider) -> Table:
    """Return the keys that a provider's row adds to every model's table, beyond its connection."""
    kind = PROVIDER_TYPES[row.type]
    taken = {kind.base_key, kind.credential.key if kind.credential else None, *_CONNECTION_KEYS}
    return {key: value for key, value in row.tensorzero.items() if key not in taken}


def _connection(kind: ProviderType, base: Any, location: Any, more: Table) -> Connection:  # noqa: ANN401 (as the table has it)
    base = kind.home or None if base is None and kind.base_key else base
    base = spelled_url(base) if isinstance(base, str) else base
    return Connection(kind.name, base, canonical(location), canonical(more))


def _connection_extras(kind: ProviderType, table: Table) -> Table:
    credential = kind.credential.key if kind.credential else None
    return {key: table[key] for key in table if key in _CONNECTION_KEYS and key not in {credential, kind.base_key}}


def read_offer(path: Path, table: Table, defaults: Defaults) -> ImportedOffer:
    """Read a valid provider table as an offer."""
    section, model, _, key = path
    kind = GATEWAY_TYPES[table["type"]]
    name_key = next((name for name in (kind.model_key_instead, kind.model_key) if name and name in table), "")
    model_id: str = table[name_key] if name_key else model
    location = table.get(kind.credential.key, default_location(kind, defaults)) if kind.credential else None
    more = _connection_extras(kind, table)
    taken = {"type", kind.model_key, kind.base_key, kind.credential.key if kind.credential else None, *more}
    taken |= {name for name in kind.more_model_keys if table.get(name) == model_id}
    return ImportedOffer(
        model=model,
        section=section,
        key=key,
        path=path,
        model_id=model_id,
        connection=_connection(kind, table.get(kind.base_key) if kind.base_key else None, location, more),
        provider=_provider_row(kind, table, location, more),
        extras={name: value for name, value in table.items() if name not in taken},
        columns={
            "model_id": (name_key,) if name_key else (),
            "api_base": (kind.base_key,) if kind.base_key else (),
            "api_key_env_var": (kind.credential.key,) if kind.credential else (),
        },
    )


def _provider_row(kind: ProviderType, table: Table, location: Any, more: Table) -> Table:  # noqa: ANN401 (as the table has it)
    """Make the columns of a provider's row for this table."""
    extras = dict(more)
    row: Table = {"type": kind.name, "api_base": None, "api_key_env_var": None, "tensorzero": extras}
    base = table.get(kind.base_key) if kind.base_key else None
    if kind.base_key and kind.base_key != "api_base" and base is not None and base.startswith(_ELSEWHERE):
        extras[kind.base_key] = base
    else:
        row["api_base"] = base
    if kind.name == "openai" and base is not None and not _is_openai(base):
        row["type"] = "openai_compatible"
    if kind.credential and location is not None:
        if isinstance(location, str) and location.startswith(kind.credential.scheme):
            row["api_key_env_var"] = location.removeprefix(kind.credential.scheme)
        elif location != "none" or not kind.key_optional:
            extras[kind.credential.key] = location
    return row


def _is_openai(base: str) -> bool:
    host = urlsplit(base).hostname or ""
    return host == "openai.com" or host.endswith(".openai.com")
