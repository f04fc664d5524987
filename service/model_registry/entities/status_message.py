"""What a node says of itself every few seconds: what it has loaded, and how much memory is left."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from model_registry.entities.deployment import DeploymentEvent


@dataclass(slots=True)
class UnreadableModel:
    """A model that a status message lists, with something about it that cannot be understood."""

    provider_type: str
    announced_model: str


@dataclass(slots=True)
class StatusMessage:
    """A status message, as the database function `registry_record_events` takes it. Memory is in MiB."""

    node_id: str
    said_at: datetime
    """By the node's clock, as far as that is believed."""
    received_at: datetime
    """When NATS got it."""
    digest: str
    """Of all in it but what moves all the time. Equal digests of one node mean the same."""
    vram_total_mb: int | None = None
    vram_used_mb: int | None = None
    vram_free_mb: int | None = None
    endpoint: str | None = None
    gpus: list[dict[str, Any]] | None = None
    listed: list[DeploymentEvent | UnreadableModel] | None = None
    """What is loaded; what is not listed is not. None: the same as in the message before with this digest."""

    @property
    def is_heartbeat(self) -> bool:
        """Whether it only says that all is as before."""
        return self.listed is None
