"""Compares snapshots: rows, order and indexes, regardless of how each snapshot was made."""

from __future__ import annotations

from typing import Any

from model_registry.snapshot.snapshot import Snapshot

HEARTBEATS = frozenset({"event_at", "last_used_at", "last_seen_at", "loaded_at", "vram_used_mb", "vram_free_mb"})
"""What may move without being a change, so that a snapshot that was brought forward may not have it."""


def contents(snapshot: Snapshot) -> dict[str, Any]:
    """Everything that questions to a snapshot can be answered with, except heartbeats."""
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
