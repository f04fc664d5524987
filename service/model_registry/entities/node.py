"""A GPU node: a machine that runs models, as far as it has spoken."""

from __future__ import annotations

from typing import Any

from model_registry.entities.base import Row


class Node(Row):
    """A node as the database holds it."""

    node_id: str
    endpoint: str | None = None
    vram_total_mb: int | None = None
    vram_used_mb: int | None = None
    vram_free_mb: int | None = None
    last_seen_at: str | None = None
    status: str = "ready"
    cordoned: bool = False
    metadata: dict[str, Any] = {}
