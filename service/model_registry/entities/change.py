"""Changes: entries of the change log (`Change`), and steps of a write (`Operation`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

Action = Literal["insert", "update", "delete"]


class Change(NamedTuple):
    """One entry of the change log, from `registry_changes_since`. A tuple: thousands are made per second."""

    revision: int
    at: str
    actor: str
    origin: str | None
    table: str
    row_id: str
    operation: Action
    row: dict[str, Any] | None
    """The row after the change; None after a deletion."""
    entry_id: int = 0
    """Random: distinguishes entries of the same revision, as written after restoring a backup."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One step of a write. Either all steps of a write are applied, or none."""

    table: str
    action: Action
    id: str
    row: dict[str, Any] | None = None
    """The columns to write; an update leaves the others unchanged."""
    version: int | None = None
    """Refuse unless the row still has this version."""

    def wire(self) -> dict[str, Any]:
        """Return the JSON for the database function `registry_write`."""
        return {"table": self.table, "action": self.action, "id": self.id, "row": self.row, "version": self.version}
