"""A node's regular status message: its loaded models and its memory. Parsing it is in `fleet/status_messages.py`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from model_registry.entities.deployment import DeploymentEvent


@dataclass(slots=True)
class UnreadableModel:
    """A model listed in a status message with unreadable fields."""

    provider_type: str
    announced_model: str


@dataclass(slots=True)
class StatusMessage:
    """A status message, in the form that the database function `registry_record_events` takes. Memory is in MiB."""

    node_id: str
    said_at: datetime
    """By the node's clock, unless that is too far ahead."""
    received_at: datetime
    """When NATS received it."""
    digest: str
    """Digest of all but the fields that always change. Equal digests of a node mean an equal state."""
    vram_total_mb: int | None = None
    vram_used_mb: int | None = None
    vram_free_mb: int | None = None
    endpoint: str | None = None
    gpus: list[dict[str, Any]] | None = None
    listed: list[DeploymentEvent | UnreadableModel] | None = None
    """All loaded models. None: the same as in the last message with this digest."""

    @property
    def is_heartbeat(self) -> bool:
        """Whether it only confirms the last status."""
        return self.listed is None
