"""Compares two states of the configuration, and computes the operations from one to the other. Pure.

Deployments, nodes and API keys are excluded: they are facts about the outside world, not settings.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

from immutables import Map

from model_registry.entities.base import Row
from model_registry.entities.change import Operation
from model_registry.snapshot.snapshot import Snapshot
from model_registry.snapshot.table import Table

BOOKKEEPING = frozenset({"id", "version", "created_at", "updated_at"})
"""Columns about the history of a row rather than its content."""

_Key = Callable[[Any], Hashable]


@dataclass(frozen=True, slots=True)
class _Kind:
    """One table of the configuration."""

    singular: str
    label: Callable[[Snapshot, Any], str]
    """Returns a row's name for people."""
    keys: tuple[_Key, ...]
    """Its unique keys."""
    names: tuple[str, ...]
    """The columns to rename in order to free all unique keys for another row."""


def _model(snapshot: Snapshot, row: Any) -> str:  # noqa: ANN401 (a row of the table)
    provider = snapshot.providers.get(row.provider_id)
    return f"{row.name} at {provider.name if provider else row.provider_id}"


_KINDS: dict[str, _Kind] = {
    "gateways": _Kind("gateway", lambda _, r: str(r.name), (lambda r: r.name,), ("name",)),
    "model_providers": _Kind("provider", lambda _, r: str(r.name), (lambda r: r.name,), ("name",)),
    "models": _Kind("model", _model, (lambda r: (r.provider_id, r.name),), ("name",)),
    "model_aliases": _Kind(
        "alias",
        lambda _, r: f"{r.alias} in {r.context}" if r.context else str(r.alias),
        (lambda r: (r.alias, r.context),),
        ("alias",),
    ),
    "functions": _Kind(
        "function",
        lambda _, r: f"{r.service_name}/{r.function_name}",
        (lambda r: (r.service_name, r.function_name), lambda r: (r.gateway, r.name)),
        ("function_name", "name"),
    ),
    "service_model_mappings": _Kind(
        "mapping",
        lambda _, r: f"{r.service_name}/{r.function_name}/{r.variant_name}",
        (lambda r: (r.service_name, r.function_name, r.variant_name),),
        ("variant_name",),
    ),
    "config_sections": _Kind("section", lambda _, r: str(r.name), (lambda r: (r.gateway, r.name),), ("name",)),
    "config_files": _Kind("file", lambda _, r: str(r.path), (lambda r: (r.gateway, r.path),), ("path",)),
}
"""In an order in which rows can be written: referenced tables first."""

TABLES = tuple(_KINDS)

_REFERENCES = {"provider_id": "model_providers", "model_id": "models", "fallback_model_id": "models"}
"""Foreign keys -> referenced table. `models.model_id` is none: it is the provider's name of the model."""

_REFERRED_TO = ("functions", "models", "model_providers")
"""Tables whose rows are deleted last, when nothing references them any more."""


def label_of(snapshot: Snapshot, table: str, row: Row) -> tuple[str, str]:
    """Return what a row of the configuration is, in one word, and its name for people."""
    kind = _KINDS[table]
    return kind.singular, kind.label(snapshot, row)


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One column, before and after."""

    field: str
    before: Any
    after: Any
    before_name: str | None = None
    """For a foreign key: the referenced row's name."""
    after_name: str | None = None


@dataclass(frozen=True, slots=True)
class RowChange:
    """One row that differs between two states."""

    change: Literal["added", "removed", "changed"]
    table: str
    kind: str
    id: str
    name: str
    fields: tuple[FieldChange, ...]
    """The changed columns; all columns of an added or removed row."""


def columns(row: Row | None) -> dict[str, Any]:
    """Return a row's columns without bookkeeping; empty for a missing row."""
    return {} if row is None else {name: value for name, value in row if name not in BOOKKEEPING}


def same(one: object, other: object) -> bool:
    """Whether two values are equal in a configuration, where 1, 1.0 and true differ."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def sharing(snapshot: Snapshot, like: Snapshot) -> Snapshot:
    """Return an equal snapshot that shares equal rows and tables with another one.

    Shared objects need not be compared or rendered again.
    """
    tables = {name: _sharing(snapshot.tables[name], like.tables[name]) for name in TABLES}
    return replace(snapshot, tables=snapshot.tables.update(tables))


def _sharing(table: Table[Any], like: Table[Any]) -> Table[Any]:
    rows = {row.id: row for row in table}
    shared = {row_id: other for row_id, row in rows.items() if (other := like.get(row_id)) and _same_row(row, other)}
    if len(shared) == len(rows) == len(like):
        return like
    return Table(table.spec, Map(rows | shared))


def _same_row(one: Row, other: Row) -> bool:
    return one == other and same(columns(one), columns(other))


def difference(before: Snapshot, after: Snapshot) -> list[RowChange]:
    """Return every row that differs, table by table, in each table's order."""
    return [change for table in TABLES for change in _table_difference(before, after, table)]


def _table_difference(before: Snapshot, after: Snapshot, name: str) -> Iterator[RowChange]:
    old_rows, new_rows = before.tables[name], after.tables[name]
    if old_rows is new_rows:
        return
    for old in old_rows:
        new = new_rows.get(old.id)
        if new is None:
            yield _row_change("removed", name, (before, old), (after, None))
        elif old is not new and not same(columns(old), columns(new)):
            yield _row_change("changed", name, (before, old), (after, new))
    for new in new_rows:
        if old_rows.get(new.id) is None:
            yield _row_change("added", name, (before, None), (after, new))


def _row_change(
    change: Literal["added", "removed", "changed"],
    table: str,
    before: tuple[Snapshot, Row | None],
    after: tuple[Snapshot, Row | None],
) -> RowChange:
    kind = _KINDS[table]
    snapshot, row = after if after[1] is not None else before
    old, new = columns(before[1]), columns(after[1])
    fields = tuple(
        FieldChange(
            field,
            old.get(field),
            new.get(field),
            _name_of(before[0], table, field, old.get(field)),
            _name_of(after[0], table, field, new.get(field)),
        )
        for field in old | new
        if change != "changed" or not same(old.get(field), new.get(field))
    )
    return RowChange(change, table, kind.singular, row.id if row else "", kind.label(snapshot, row), fields)


def _name_of(snapshot: Snapshot, table: str, field: str, row_id: str | None) -> str | None:
    referred = _REFERENCES.get(field)
    if referred is None or row_id is None or table == referred:
        return None
    row = snapshot.tables[referred].get(row_id)
    return None if row is None else _KINDS[referred].label(snapshot, row)


def restoring(now: Snapshot, target: Snapshot) -> list[Operation]:
    """Return operations that turn the configuration `now` into `target`, in a valid order. Ids are kept.

    No step violates a foreign key or a unique key: a row whose key another row needs is renamed to a unique name
    first. Steps have consequences (mappings move with their function), so each is computed from the state after the
    ones before it.
    """
    steps = [
        *((_deletions, table) for table in reversed(TABLES) if table not in _REFERRED_TO),
        *((step, table) for table in TABLES for step in (_parked, _written)),
        *((_deletions, table) for table in _REFERRED_TO),
    ]
    operations: list[Operation] = []
    for step, table in steps:
        more = list(step(now.tables[table], target.tables[table]))
        now = now.preview(more)
        operations += more
    return operations


def _deletions(now: Table[Any], target: Table[Any]) -> Iterator[Operation]:
    return (Operation(now.spec.name, "delete", row.id) for row in now if target.get(row.id) is None)


def _parked(now: Table[Any], target: Table[Any]) -> Iterator[Operation]:
    kind = _KINDS[now.spec.name]
    owners: list[tuple[_Key, dict[Hashable, str]]] = [(key, {key(r): r.id for r in target}) for key in kind.keys]
    for row in now:
        if any(owner.get(key(row), row.id) != row.id for key, owner in owners):
            yield Operation(now.spec.name, "update", row.id, dict.fromkeys(kind.names, f"restoring {row.id}"))


def _written(now: Table[Any], target: Table[Any]) -> Iterator[Operation]:
    for row in target:
        current = now.get(row.id)
        if current is row:
            continue
        old, new = columns(current), columns(row)
        if current is None:
            yield Operation(now.spec.name, "insert", row.id, new)
        elif changed := {field: value for field, value in new.items() if not same(old[field], value)}:
            yield Operation(now.spec.name, "update", row.id, changed)
