"""Which databases a row makes a gateway need, and which of them it has not. Pure.

Measured with TensorZero 2026.6.0, which does not start without them: an experiment that learns needs Postgres, and so
do `gateway.auth` and `postgres.enabled`; rules of rate limiting need Valkey or Postgres, and the backend that it names
even where it is switched off. A cache needs Valkey or ClickHouse, `gateway.observability` ClickHouse or Postgres.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from model_registry.entities.base import Row
from model_registry.entities.config import ConfigSection
from model_registry.entities.function import Function
from model_registry.entities.gateway import Gateway
from model_registry.gateways.tensorzero.project import Path, Table, as_table, dotted
from model_registry.gateways.tensorzero.rules.experimentation import ADAPTIVE

_NAMES = {"clickhouse": "ClickHouse", "postgres": "Postgres", "valkey": "Valkey"}


class Backend(NamedTuple):
    """That a part of a configuration needs one of these databases."""

    where: str
    any_of: tuple[str, ...]


def lacking(row: Row, gateway: Gateway) -> Iterator[str]:
    """Yield why a gateway cannot have a row: databases that are not in its `settings.has`, and what to do."""
    has = gateway.settings.get("has")
    if has is None:
        return
    for need in needed(row):
        if not set(need.any_of) & set(has):
            wanted = " or ".join(_NAMES[name] for name in need.any_of)
            variables = " or ".join(f"TENSORZERO_{name.upper()}_URL" for name in need.any_of)
            yield (
                f"{need.where} needs {wanted}, which settings.has of the gateway {gateway.name} does not list. "
                f"Set {variables} where it runs and list it there, or leave {need.where} out"
            )


def needed(row: Row) -> Iterator[Backend]:
    """Yield what a row needs."""
    match row:
        case Function():
            yield from _experiments(("experimentation",), row.tensorzero.get("experimentation"))
        case ConfigSection(name="gateway"):
            yield from _of_gateway(as_table(row.value))
        case ConfigSection(name="postgres"):
            if as_table(row.value).get("enabled") is True:
                yield Backend("postgres.enabled", ("postgres",))
        case ConfigSection(name="rate_limiting"):
            yield from _of_limits(as_table(row.value))


def _of_gateway(table: Table) -> Iterator[Backend]:
    cache, watching = as_table(table.get("cache")), as_table(table.get("observability"))
    if as_table(table.get("auth")).get("enabled") is True:
        yield Backend("gateway.auth", ("postgres",))
    backend, enabled = cache.get("backend"), cache.get("enabled")
    if enabled is not False and backend in _NAMES:
        yield Backend("gateway.cache", (backend,))
    elif enabled is True:
        yield Backend("gateway.cache", ("valkey", "clickhouse"))
    backend, enabled = watching.get("backend"), watching.get("enabled")
    if enabled is True:
        yield Backend("gateway.observability", (backend,) if backend in _NAMES else ("clickhouse", "postgres"))
    elif enabled is not False and backend == "postgres":
        yield Backend("gateway.observability", ("postgres",))


def _of_limits(table: Table) -> Iterator[Backend]:
    backend = table.get("backend")
    if backend in _NAMES:
        yield Backend("rate_limiting", (backend,))
    elif table.get("enabled") is not False and table.get("rules"):
        yield Backend("rate_limiting", ("valkey", "postgres"))


def _experiments(path: Path, value: Any) -> Iterator[Backend]:  # noqa: ANN401 (any TOML value)
    table = as_table(value)
    if table.get("type") in ADAPTIVE:
        yield Backend(dotted(path), ("postgres",))
    for name, inner in as_table(table.get("namespaces")).items():
        yield from _experiments((*path, "namespaces", name), inner)
