"""The whole registry at one revision as one immutable value.

The next revision's snapshot shares everything unchanged with this one. Look-ups and comparisons are in the other files
of this package; loading and updating it is in `store/`.
"""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Mapping as PyMapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from immutables import Map

from model_registry.entities.api_key import ApiKey
from model_registry.entities.base import Row
from model_registry.entities.change import Change, Operation
from model_registry.entities.config import ConfigFile, ConfigSection
from model_registry.entities.deployment import Deployment
from model_registry.entities.function import Function, Mapping, default_function_name
from model_registry.entities.gateway import DEFAULT_GATEWAY, Gateway
from model_registry.entities.model import Alias, Category, Model
from model_registry.entities.model_service import ModelService, ServiceInstance
from model_registry.entities.node import Node
from model_registry.entities.provider import Provider
from model_registry.entities.source import Source, SourceAnswer
from model_registry.snapshot.table import Table
from model_registry.snapshot.table_specs import SPECS

R = TypeVar("R", bound=Row)


class _TableOf(Generic[R]):
    """A table of a snapshot as its attribute."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, snapshot: Snapshot, _owner: type[Snapshot]) -> Table[R]:
        return snapshot.tables[self._name]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Every table of one registry at one revision."""

    registry_id: str
    revision: int
    tables: Map[str, Table[Any]]
    entry_id: int = 0
    """The id of the change log's entry at this revision: a restored backup may reuse a revision, but not the id.
    0: unknown (a snapshot saved by an older version), or nothing has ever changed."""

    providers = _TableOf[Provider]("model_providers")
    """Providers, by name."""
    categories = _TableOf[Category]("model_categories")
    """Categories of models, by key."""
    models = _TableOf[Model]("models")
    """Models, by name, then in routing order."""
    aliases = _TableOf[Alias]("model_aliases")
    """Aliases, by alias and context."""
    functions = _TableOf[Function]("functions")
    """Functions, by service and name."""
    mappings = _TableOf[Mapping]("service_model_mappings")
    """Mappings, by service and function, then in routing order: priority, heaviest first, name."""
    deployments = _TableOf[Deployment]("model_deployments")
    """Deployments, by node."""
    nodes = _TableOf[Node]("gpu_nodes")
    """GPU nodes, by name."""
    model_services = _TableOf[ModelService]("model_services")
    """Model services, by model type."""
    instances = _TableOf[ServiceInstance]("service_instances")
    """Instances of model services, by their own ids."""
    sources = _TableOf[Source]("model_sources")
    """Sources that are asked for models, by name."""
    source_answers = _TableOf[SourceAnswer]("source_answers")
    """What each source answered last, under its id."""
    gateways = _TableOf[Gateway]("gateways")
    """Gateways, by name."""
    sections = _TableOf[ConfigSection]("config_sections")
    """Unmodelled sections of the gateway's configuration."""
    files = _TableOf[ConfigFile]("config_files")
    """Files referenced by the gateway's configuration."""
    api_keys = _TableOf[ApiKey]("api_keys")
    """API keys, hashed, including revoked ones."""

    @property
    def has_identity(self) -> bool:
        """Whether it can be brought forward: not what was never loaded, nor what an older version left on disk."""
        return bool(self.registry_id) and (self.revision == 0 or self.entry_id != 0)

    def known_revision(self) -> dict[str, Any]:
        """Return where it stands, as arguments of the database's functions.

        A revision alone is not enough: after a backup was restored, others write past it. It counts with the id of its
        entry. No entry has the id 0: that revision counts for nothing.
        """
        return {"known_revision": self.revision, "known_entry": self.entry_id}

    def goes_on(self, answer: dict[str, Any], known: Snapshot) -> bool:
        """Whether the answer to a question asked with `known` fits here, also when other answers came in between.

        It does not when another database stands behind the address, this one went back to a backup, or its log was
        trimmed past us. Errors: KeyError, TypeError when it is no such answer.
        """
        least = min(answer["revision"], self.revision)
        if answer["registry_id"] != self.registry_id or known.revision > least:
            return False
        if known.revision < self.revision == least:  # it must lead through where we are, not past it
            entries = (change["entry_id"] for change in answer["changes"] if change["revision"] == self.revision)
            return next(entries, None) == self.entry_id
        return True

    @classmethod
    def empty(cls) -> Snapshot:
        """Make an empty registry."""
        return cls("", 0, Map({name: Table(spec, Map()) for name, spec in SPECS.items()}))

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> Snapshot:
        """Read an answer of `registry_snapshot`, or an earlier result of `document`."""
        with _uncollected():
            rows = {name: map(spec.row.read, document["tables"].get(name, ())) for name, spec in SPECS.items()}
            tables = {name: Table(spec, Map((row.id, row) for row in rows[name])) for name, spec in SPECS.items()}
        return cls(document["registry_id"], document["revision"], Map(tables), document.get("entry_id") or 0)

    def document(self) -> dict[str, Any]:
        """Convert to plain JSON values, for the file on disk."""
        tables = {name: [row.model_dump() for row in table] for name, table in self.tables.items()}
        identity = {"registry_id": self.registry_id, "revision": self.revision, "entry_id": self.entry_id}
        return {**identity, "tables": tables}

    def advanced(self, revision: int, changes: Sequence[Change]) -> Snapshot:
        """Return the snapshot after these changes, ignoring those up to its own revision."""
        if revision <= self.revision:
            return self
        newest: dict[str, dict[str, dict[str, Any] | None]] = {}
        for change in changes:
            if change.revision > self.revision and change.table in SPECS:
                newest.setdefault(change.table, {})[change.row_id] = change.row
        by_table = {
            table: [(row_id, None if row is None else SPECS[table].row.read(row)) for row_id, row in rows.items()]
            for table, rows in newest.items()
        }
        entry_id = changes[-1].entry_id if changes else 0
        return replace(self, revision=revision, entry_id=entry_id, tables=self._changed(by_table))

    def preview(self, operations: Iterable[Operation]) -> Snapshot:
        """Return the registry after these operations, at the same revision, without writing.

        Applies the effects of the database's triggers on the tables of a configuration.
        """
        snapshot = self
        for batch in _independent(operations):
            effects: dict[str, list[tuple[str, Row | None]]] = {}
            for operation in batch:
                for table, rows in snapshot._effects(operation).items():
                    effects.setdefault(table, []).extend(rows)
            snapshot = replace(snapshot, tables=snapshot._changed(effects))
        return snapshot

    def with_rows(self, rows: PyMapping[str, Sequence[tuple[str, Row | None]]]) -> Snapshot:
        """Return the registry with these rows of each table replaced, or (None) without them, at the same revision."""
        return replace(self, tables=self._changed(rows))

    def without_fleet(self) -> Snapshot:
        """Return the registry without deployments and nodes, at the same revision."""
        empty = {name: Table(SPECS[name], Map()) for name in ("model_deployments", "gpu_nodes")}
        return replace(self, tables=self.tables.update(empty))

    def _changed(self, by_table: PyMapping[str, Sequence[tuple[str, Row | None]]]) -> Map[str, Table[Any]]:
        return self.tables.update({name: self.tables[name].changed(rows) for name, rows in by_table.items()})

    def _effects(self, operation: Operation) -> dict[str, list[tuple[str, Row | None]]]:
        table = self.tables[operation.table]
        if operation.action == "delete":
            return {operation.table: [(operation.id, None)]}
        content = dict(operation.row or {})
        old = table.get(operation.id)
        if operation.action == "update" and old is None:
            return {}  # the database will refuse it
        if old:
            content = _merged(old, content)
        columns = {**(old.model_dump() if old else {}), **content, "id": operation.id}
        if operation.table == "functions" and not columns.get("name"):
            columns["name"] = default_function_name(
                columns["service_name"], columns["function_name"], columns.get("gateway") or DEFAULT_GATEWAY
            )
        row = table.spec.row.read(columns)
        effects: dict[str, list[tuple[str, Row | None]]] = {operation.table: [(operation.id, row)]}
        if isinstance(row, Mapping) and not self.functions.where("key", (row.service_name, row.function_name)):
            function = Function(
                id=f"function of {row.id}",
                service_name=row.service_name,
                function_name=row.function_name,
                name=default_function_name(row.service_name, row.function_name),
            )
            effects["functions"] = [(function.id, function)]
        if isinstance(row, Function) and isinstance(old, Function):
            key = {"service_name": row.service_name, "function_name": row.function_name}
            moved = self.mappings.where("function", (old.service_name, old.function_name))
            effects["service_model_mappings"] = [(m.id, m.model_copy(update=key)) for m in moved]
        return effects


def _independent(operations: Iterable[Operation]) -> Iterator[list[Operation]]:
    """Group operations that do not affect each other: different rows, in tables without effects on others."""
    batch: list[Operation] = []
    seen: set[tuple[str, str]] = set()
    for operation in operations:
        row = (operation.table, operation.id)
        if operation.table in {"functions", "service_model_mappings"}:
            yield batch
            yield [operation]
            batch, seen = [], set()
        elif row in seen:
            yield batch
            batch, seen = [operation], {row}
        else:
            batch.append(operation)
            seen.add(row)
    yield batch


def _merged(old: Row, content: dict[str, Any]) -> dict[str, Any]:
    """Apply `<column>_changes` as `registry_apply` does: replace some keys of the column, remove those with None."""
    columns = {name: value for name, value in content.items() if not name.endswith("_changes")}
    for name in content.keys() - columns.keys():
        changes = content[name]
        whole = getattr(old, name.removesuffix("_changes")) | changes
        columns[name.removesuffix("_changes")] = {k: v for k, v in whole.items() if changes.get(k, v) is not None}
    return columns


@contextmanager
def _uncollected() -> Iterator[None]:
    """Pause the garbage collector while creating many lasting objects: it would take most of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
