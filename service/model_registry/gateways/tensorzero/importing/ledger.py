"""Rows an import wants, against the rows there are: operations and report entries come out. Knows no TOML."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from model_registry.entities.base import Draft, Row, json_problem
from model_registry.entities.change import Operation
from model_registry.gateways.tensorzero.importing.report import Outcome, ReportEntry, differences, same
from model_registry.gateways.tensorzero.project import Path, Problems
from model_registry.snapshot.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Wanted:
    """A row as the project wants it."""

    table: str
    kind: str
    name: str
    path: Path
    """The key that says so, for messages."""
    values: dict[str, Any]
    """The columns the project speaks of; an existing row keeps its others."""
    draft: type[Draft] | None = None
    keys: Mapping[str, Path] = field(default_factory=dict)
    """Where single columns come from, below `path`."""
    summary: str = ""
    """What a new row is, in a few words."""
    shown: Callable[[str, Any], Any] = lambda _, value: value
    """How a column's value is shown to people: a name instead of an id."""


@dataclass(slots=True)
class Ledger:
    """What an import has decided so far."""

    snapshot: Snapshot
    new_id: Callable[[], str]
    problems: Problems
    operations: list[Operation] = field(default_factory=list)
    report: list[ReportEntry] = field(default_factory=list)
    replace: bool = False
    """Whether the registry's project becomes exactly the imported one."""
    kept: set[str] = field(default_factory=set)
    """The rows that the project wants."""

    def note(self, action: Outcome, kind: str, name: str, detail: str = "") -> None:
        """Report something that is not a row."""
        self.report.append(ReportEntry(action, kind, name, detail))

    def write(self, wanted: Wanted, old: Row | None, row_id: str | None = None) -> str:
        """Bring a row to what is wanted, new or as an update of what differs. Returns its id."""
        values = self._checked(wanted, old)
        row_id = old.id if old else row_id or self.new_id()
        self.kept.add(row_id)
        if old is None:
            self.operations.append(Operation(wanted.table, "insert", row_id, values))
            self.note("created", wanted.kind, wanted.name, wanted.summary)
            return row_id
        changed = {key: value for key, value in values.items() if not same(getattr(old, key), value)}
        if not changed:
            self.note("unchanged", wanted.kind, wanted.name)
            return old.id
        self.operations.append(Operation(wanted.table, "update", old.id, changed, old.version))
        lines = [
            line
            for key, value in changed.items()
            for line in differences(wanted.shown(key, getattr(old, key)), wanted.shown(key, value), key)
        ]
        self.note("changed", wanted.kind, wanted.name, "; ".join(lines))
        return old.id

    def check(self, wanted: Wanted) -> None:
        """Hold a row against its draft without writing it."""
        self._checked(wanted, None)

    def delete(self, table: str, old: Row, kind: str, name: str, why: str) -> None:
        """Take a row away that the project says otherwise."""
        self.operations.append(Operation(table, "delete", old.id, None, old.version))
        self.note("changed", kind, name, why)

    def remove(self, table: str, old: Row, kind: str, name: str, why: str) -> None:
        """Take a row away that the project does not have."""
        self.operations.append(Operation(table, "delete", old.id, None, old.version))
        self.note("removed", kind, name, why)

    def _checked(self, wanted: Wanted, old: Row | None) -> dict[str, Any]:
        """The values as the row's draft holds them: all columns of a new row, the named ones of an old one."""
        if wanted.draft is None:
            for key, value in wanted.values.items():
                if problem := json_problem(value):
                    self.problems.add(wanted.path + wanted.keys.get(key, ()), problem)
            return wanted.values
        whole = wanted.values if old is None else {**old.model_dump(), **wanted.values}
        try:
            draft = wanted.draft.model_validate(whole).model_dump()
        except ValidationError as error:
            self._note_errors(wanted, error)
            return wanted.values
        return draft if old is None else {key: draft[key] for key in wanted.values}

    def _note_errors(self, wanted: Wanted, error: ValidationError) -> None:
        """What the draft refuses becomes problems of the project; what an old row had before is not its fault."""
        for item in error.errors(include_input=False, include_url=False):
            column = str(item["loc"][0]) if item["loc"] else ""
            if column in wanted.values:
                self.problems.add(wanted.path + wanted.keys.get(column, ()), reason_of(item["msg"], column))


def reason_of(message: str, column: str) -> str:
    """A draft's complaint as a reason: pydantic's own prefix says nothing to the user."""
    text = message.removeprefix("Value error, ")
    ours = text.startswith(("must", "looks", "holds", "is "))
    return f"{column.replace('_', ' ')} {text}" if ours else f"{column}: {text}"
