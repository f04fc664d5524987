"""Changes: what has happened (`Change`), and what someone wants to happen (`Operation`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

Action = Literal["insert", "update", "delete"]


class Change(NamedTuple):
    """One entry of the change log, as `registry_changes_since` tells it. A tuple: thousands a second are made."""

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
    """Random: tells the entry from another of the same revision, as a restored backup makes it."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One step of a write. All steps of a write happen, or none."""

    table: str
    action: Action
    id: str
    row: dict[str, Any] | None = None
    """The columns to write; an update leaves the others alone."""
    version: int | None = None
    """Refuse unless the row still has this version."""

    def wire(self) -> dict[str, Any]:
        """As the database function `registry_write` reads it."""
        return {"table": self.table, "action": self.action, "id": self.id, "row": self.row, "version": self.version}
