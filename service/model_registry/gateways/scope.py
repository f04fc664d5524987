"""What of the registry a gateway carries, as a snapshot of its own: its content, and what its scope names.

Renderers, rules and checks get such a snapshot, and know nothing of other gateways. Pure, but for what `Scopes` keeps:
the next snapshot costs the number of changes.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from model_registry.entities.base import Row
from model_registry.entities.config import ConfigFile, ConfigSection
from model_registry.entities.deployment import Deployment
from model_registry.entities.function import Function, Mapping
from model_registry.entities.gateway import DEFAULT_GATEWAY, Gateway
from model_registry.entities.model import Alias, Model
from model_registry.entities.node import Node
from model_registry.entities.provider import THROUGH, Provider
from model_registry.snapshot.difference import RowChange, difference
from model_registry.snapshot.snapshot import Snapshot
from model_registry.snapshot.through_gateways import any_through, reached

_CONTENT = ("functions", "config_sections", "config_files")
_TABLES = (
    *("model_providers", "models", "model_aliases", "functions", "service_model_mappings"),
    *("gpu_nodes", "model_deployments", "config_sections", "config_files"),
)
_DEPENDENTS: dict[str, tuple[Callable[[Snapshot, Row], Iterable[tuple[str, Row]]], ...]] = {
    "model_providers": (lambda s, row: (("models", r) for r in s.models.where("provider", row.id)),),
    "models": (
        lambda s, row: (("model_aliases", r) for r in s.aliases.where("model", row.id)),
        lambda s, row: (("service_model_mappings", r) for r in s.mappings.where("model", row.id)),
    ),
    "functions": (
        lambda s, row: (
            ("service_model_mappings", r)
            for r in s.mappings.where("function", (row.service_name, row.function_name))  # type: ignore[attr-defined]
        ),
    ),
    "gpu_nodes": (lambda s, row: (("model_deployments", r) for r in s.deployments.where("node", row.node_id)),),  # type: ignore[attr-defined]
}
"""The rows that come and go with a row of a table."""


def default_gateway() -> Gateway:
    """Return the row that is there from the start: a snapshot that an older version kept on disk has none."""
    return Gateway(id="", name=DEFAULT_GATEWAY, kind=DEFAULT_GATEWAY)


def is_whole(snapshot: Snapshot, gateway: Gateway) -> bool:
    """Whether a gateway carries everything that there is."""
    if not (gateway.services is None and gateway.providers is None and gateway.labels is None) or any_through(snapshot):
        return False
    return all(set(snapshot.tables[table].keys("gateway")) <= {gateway.content_of} for table in _CONTENT)


def scoped(snapshot: Snapshot, gateway: Gateway) -> Snapshot:
    """Return the registry with only the rows that a gateway carries; the same snapshot if these are all."""
    return _Scope(gateway).of(snapshot)


def carries(snapshot: Snapshot, gateway: Gateway, row: Row) -> bool:
    """Whether a gateway carries a row of a snapshot. Cheap: nothing but the rows that it depends on is looked at."""
    return _Scope(gateway).carries(snapshot, row)


def carried_difference(gateway: Gateway, before: Snapshot, after: Snapshot) -> list[RowChange]:
    """Return what differs between two registries of what a gateway carries, given its scope of today."""
    found = difference(scoped(before, gateway), scoped(after, gateway))
    return [change for change in found if change.table != "gateways"]


class Scopes:
    """The snapshots of all gateways: what was asked last is kept for each, so that the next costs the changes alone.

    From any thread.
    """

    def __init__(self) -> None:
        self._scopes: dict[str, _Scope] = {}
        self._lock = threading.Lock()

    def of(self, snapshot: Snapshot, gateway: Gateway) -> Snapshot:
        """As `scoped`."""
        if is_whole(snapshot, gateway):
            return snapshot
        with self._lock:
            scope = self._scopes.get(gateway.name)
            if scope is None or not scope.fits(gateway):
                scope = self._scopes[gateway.name] = _Scope(gateway)
            return scope.of(snapshot)


@dataclass(slots=True)
class _Scope:
    """One gateway's scope, with the snapshot asked last."""

    gateway: Gateway
    base: Snapshot | None = None
    result: Snapshot | None = None

    def fits(self, gateway: Gateway) -> bool:
        """Whether this row has the same scope."""
        return all(
            getattr(self.gateway, field) == getattr(gateway, field)
            for field in ("content_of", "services", "providers", "labels")
        )

    def of(self, snapshot: Snapshot) -> Snapshot:
        if is_whole(snapshot, self.gateway):
            return snapshot
        before, result = self.base, self.result
        if before is None or result is None:
            before = result = Snapshot.empty()
        ids = self._changed(before, snapshot)
        rows = {
            table: [(row_id, self._carried(snapshot, snapshot.tables[table].get(row_id))) for row_id in sorted(found)]
            for table, found in ids.items()
            if found
        }
        others = {name: table for name, table in snapshot.tables.items() if name not in _TABLES}
        carried = result.with_rows(rows)
        self.base = snapshot
        self.result = replace(snapshot, tables=carried.tables.update(others))
        return self.result

    def _changed(self, before: Snapshot, after: Snapshot) -> dict[str, set[str]]:
        """Return, by table, the ids of the rows that may come, go or be others."""
        found: dict[str, set[str]] = {"model_providers": _through_changed_gateways(before, after)}
        for table in _TABLES:
            old, new = before.tables[table], after.tables[table]
            if old is not new:
                found[table] = found.get(table, set()) | new.may_differ(old)
            for row_id in list(found.get(table, ())):
                for snapshot in (before, after):
                    if (row := snapshot.tables[table].get(row_id)) is not None:
                        for other, dependent in self._dependents(snapshot, table, row):
                            found.setdefault(other, set()).add(dependent.id)
        return found

    @staticmethod
    def _dependents(snapshot: Snapshot, table: str, row: Row) -> Iterator[tuple[str, Row]]:
        for dependents in _DEPENDENTS.get(table, ()):
            yield from dependents(snapshot, row)

    def _carried(self, snapshot: Snapshot, row: Row | None) -> Row | None:
        """Return the row as the gateway has it; None where it has not."""
        if row is None or not self.carries(snapshot, row):
            return None
        if isinstance(row, Provider):
            return reached(snapshot, row)
        if isinstance(row, Mapping) and row.fallback_model_id is not None:
            fallback = snapshot.models.get(row.fallback_model_id)
            if fallback is not None and not self.carries(snapshot, fallback):
                return row.model_copy(update={"fallback_model_id": None})
        return row

    def carries(self, snapshot: Snapshot, row: Row) -> bool:  # noqa: PLR0911 (a line a kind of row)
        """Whether the gateway carries a row."""
        gateway = self.gateway
        match row:
            case Function():
                return row.gateway == gateway.content_of and (
                    gateway.services is None or row.service_name in gateway.services
                )
            case ConfigSection() | ConfigFile():
                return row.gateway == gateway.content_of
            case Provider():
                return gateway.providers is None or row.name in gateway.providers
            case Model():
                provider = snapshot.providers.get(row.provider_id)
                return provider is not None and self.carries(snapshot, provider)
            case Alias():
                return self._carries_all(snapshot, [snapshot.models.get(row.model_id)])
            case Mapping():
                functions = snapshot.functions.where("key", (row.service_name, row.function_name))
                return self._carries_all(snapshot, [*functions, snapshot.models.get(row.model_id)])
            case Node():
                return all(row.labels.get(key) == value for key, value in (gateway.labels or {}).items())
            case Deployment():
                nodes = snapshot.nodes.where("node_id", row.node_id)
                return gateway.labels is None or self._carries_all(snapshot, nodes or [None])
        return True

    def _carries_all(self, snapshot: Snapshot, rows: Iterable[Row | None]) -> bool:
        return all(row is not None and self.carries(snapshot, row) for row in rows)


def _through_changed_gateways(before: Snapshot, after: Snapshot) -> set[str]:
    """Return the ids of the providers that are reached through a gateway whose row differs."""
    old, new = before.tables["gateways"], after.tables["gateways"]
    if old is new:
        return set()
    rows = (table.get(row_id) for row_id in new.may_differ(old) for table in (old, new))
    routes = {f"{THROUGH}{row.name}" for row in rows if row is not None}
    return {
        row.id for snapshot in (before, after) for key in routes for row in snapshot.providers.where("route_by", key)
    }
