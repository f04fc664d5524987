"""Compares snapshots: rows, order and indexes, regardless of how each snapshot was made."""

from __future__ import annotations

from typing import Any

from model_registry.snapshot.snapshot import Snapshot

HEARTBEATS = frozenset({"event_at", "last_used_at", "last_seen_at", "loaded_at", "vram_used_mb", "vram_free_mb"})
"""Columns whose updates are not changes, so that an updated snapshot may lack them."""


def contents(snapshot: Snapshot) -> dict[str, Any]:
    """All contents of a snapshot except heartbeats."""
    return {
        name: {
            "rows": [row.model_dump(exclude=HEARTBEATS) for row in table],
            "indexes": {
                index: {key: [row.id for row in table.where(index, key)] for key in table.keys(index)}
                for index in table.spec.indexes
            },
            "number": len(table),
        }
        for name, table in snapshot.tables.items()
    }
