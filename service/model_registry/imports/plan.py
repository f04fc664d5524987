"""The plan of an import: rows wanted against rows there give operations and a report.

Imports of offers, of documents and of TensorZero projects plan with it. Pure: the caller writes the operations.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import ValidationError

from model_registry.entities.base import Draft, Row, json_problem
from model_registry.entities.change import Operation
from model_registry.entities.json_types import Json
from model_registry.snapshot.difference import same
from model_registry.snapshot.snapshot import Snapshot

Action = Literal[
    "created", "changed", "unchanged", "normalised", "upgraded", "removed", "ignored", "skipped", "warning",
    "renamed", "overwritten", "kept",
]  # fmt: skip
Path = tuple[str, ...]
"""A key of what is imported, from its top."""

_LONGEST = 60


@dataclass(frozen=True, slots=True)
class ReportEntry:
    """An entry of the source, and the action taken for it."""

    action: Action
    """`normalised`: written in other words than the source's, with the same meaning. `upgraded`: was old syntax."""
    kind: str
    """provider, model, embedding model, alias, category, function, variant, section, file, project, key ..."""
    name: str
    detail: str = ""
    """What changed, or why it is skipped."""
    provider: str = ""
    """Of an offered model: its provider."""
    fields: tuple[str, ...] = ()
    """The fields that were written."""
    kept: dict[str, str] = field(default_factory=dict)
    """Fields that the source would set otherwise, and why they stay."""


@dataclass(frozen=True, slots=True)
class ImportPlan:
    """The operations of one write, and the report of what they do."""

    operations: tuple[Operation, ...]
    """In an order that satisfies the foreign keys. None: the registry holds all of it already."""
    report: tuple[ReportEntry, ...]
    kept: frozenset[str] = frozenset()
    """The ids of the rows that the source has, also of those that stay as they are."""

    def count(self, action: Action) -> int:
        """Count the entries of the report with this action."""
        return sum(entry.action == action for entry in self.report)

    def short_report(self, *actions: Action) -> dict[str, Any]:
        """Return the report and the number of entries with each of these actions as JSON, without fields."""
        entries = [{"action": e.action, "kind": e.kind, "name": e.name, "detail": e.detail} for e in self.report]
        return {"report": entries, **{action: self.count(action) for action in actions}}


@dataclass(frozen=True, slots=True)
class WantedRow:
    """A row as the source wants it."""

    table: str
    kind: str
    name: str
    values: dict[str, Any]
    """What the source knows; an existing row keeps the rest."""
    path: Path = ()
    """The key that it comes from, for messages."""
    draft: type[Draft] | None = None
    """Validates the values."""
    keys: Mapping[str, Path] = field(default_factory=dict)
    """Where single values come from, below `path`."""
    summary: str = ""
    """A new row in a few words."""
    shown: Callable[[str, Any], Any] = lambda _column, value: value
    """Replaces a value in the report: an id by a name."""
    current: Callable[[Any, str], Any] = getattr
    """Reads a value of the existing row."""
    edit: Callable[[Any, dict[str, Any]], dict[str, Any]] = lambda _row, changed: changed
    """Makes the columns of an update from the values that differ."""
    describe: Callable[[Any, dict[str, Any]], str] | None = None
    """Describes an update; by default each value before and after."""
    provider: str = ""
    fields: tuple[str, ...] = ()
    kept: dict[str, str] = field(default_factory=dict)
    """As in the report's entry; `fields` are those of a new row."""
    marks: Callable[[Any], dict[str, Any]] = lambda _old: {}
    """Columns that say whose the row is, where they differ: written too, and no change of what the row says."""

    def value_changes(self, old: Row, changed: dict[str, Any]) -> str:
        """Describe an update by each value before and after."""
        lines = [
            line
            for key, value in changed.items()
            for line in _differences(self.shown(key, getattr(old, key)), self.shown(key, value), key)
        ]
        return "; ".join(lines)


@dataclass(slots=True)
class Planner:
    """Collects the operations and the report of one import."""

    snapshot: Snapshot
    new_id: Callable[[], str]
    replace: bool = False
    """Whether rows that the source does not have are removed."""
    on_problem: Callable[[Path, str], None] | None = None
    """Takes what a row cannot hold, with its key. None: the caller has validated all rows."""
    guard: Callable[[Operation], None] | None = None
    """Raises for an operation that must not be written."""
    operations: list[Operation] = field(default_factory=list)
    report: list[ReportEntry] = field(default_factory=list)
    kept: set[str] = field(default_factory=set)
    """The ids of the rows that the source has."""

    def plan(self) -> ImportPlan:
        """Return what has been collected."""
        return ImportPlan(tuple(self.operations), tuple(self.report), frozenset(self.kept))

    def writes(self, row: Row) -> bool:
        """Whether the plan has an operation for a row already: a second one would find another version."""
        return row.id in self.kept or any(operation.id == row.id for operation in self.operations)

    def note(self, action: Action, kind: str, name: str, detail: str = "") -> None:
        """Report something that is not a row."""
        self.report.append(ReportEntry(action, kind, name, detail))

    def upsert(self, wanted: WantedRow, old: Row | None, row_id: str | None = None) -> str:
        """Insert a row, or update the values of an existing one that differ. Return its id.

        Errors: those of `guard`; then nothing is collected.
        """
        values = self.validated(wanted, old)
        row_id = old.id if old else row_id or self.new_id()
        action: Action = "created"
        fields, detail = wanted.fields, wanted.summary
        marks = wanted.marks(old)
        if old is None:
            self._collect(Operation(wanted.table, "insert", row_id, values | marks))
        else:
            changed = {key: value for key, value in values.items() if not same(wanted.current(old, key), value)}
            if columns := (wanted.edit(old, changed) if changed else {}) | marks:
                self._collect(Operation(wanted.table, "update", old.id, columns, old.version))
            fields, action = tuple(changed), "changed" if changed else "unchanged"
            detail = (wanted.describe or wanted.value_changes)(old, changed) if changed else ""
        self.kept.add(row_id)
        entry = ReportEntry(action, wanted.kind, wanted.name, detail, wanted.provider, fields, wanted.kept)
        self.report.append(entry)
        return row_id

    def delete(self, table: str, old: Row, kind: str, name: str, why: str, action: Action = "removed") -> None:  # noqa: PLR0913, PLR0917 (a row and its entry)
        """Delete a row that the source does not have, or (`changed`) has in another form."""
        self._collect(Operation(table, "delete", old.id, None, old.version))
        self.note(action, kind, name, why)

    def validated(self, wanted: WantedRow, old: Row | None = None) -> dict[str, Any]:
        """Return the values as the draft has them: all columns of a new row, the wanted ones of an existing one."""
        if self.on_problem is None:
            return wanted.values
        if wanted.draft is None:
            for key, value in wanted.values.items():
                if problem := json_problem(value):
                    self.on_problem(wanted.path + wanted.keys.get(key, ()), problem)
            return wanted.values
        whole = wanted.values if old is None else {**old.model_dump(), **wanted.values}
        try:
            columns = wanted.draft.model_validate(whole).model_dump()
        except ValidationError as error:
            for item in error.errors(include_input=False, include_url=False):
                column = str(item["loc"][0]) if item["loc"] else ""
                # The source is not to blame for what an existing row had before.
                if column in wanted.values:
                    self.on_problem(wanted.path + wanted.keys.get(column, ()), _reason(item["msg"], column))
            return wanted.values
        return columns if old is None else {key: columns[key] for key in wanted.values}

    def _collect(self, operation: Operation) -> None:
        if self.guard is not None:
            self.guard(operation)
        self.operations.append(operation)


def _reason(message: str, column: str) -> str:
    """Turn a draft's message into a reason, without pydantic's own prefix."""
    text = message.removeprefix("Value error, ")
    ours = text.startswith(("must", "looks", "holds", "is "))
    return f"{column.replace('_', ' ')} {text}" if ours else f"{column}: {text}"


def _differences(old: Json, new: Json, name: str) -> Iterator[str]:
    """Yield one line for each value that changed: `weight 1.0 -> 0.3`."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in dict.fromkeys([*old, *new]):
            if key not in new:
                yield f"{name}.{key} {short(old[key])} removed"
            elif key not in old:
                yield f"{name}.{key} {short(new[key])} added"
            elif not same(old[key], new[key]):
                yield from _differences(old[key], new[key], f"{name}.{key}")
    else:
        yield f"{name} {short(old)} -> {short(new)}"


def short(value: Json) -> str:
    """Return a value in at most 60 characters."""
    if value is None:
        return "none"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
