"""What nodes said, put together for one transaction."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from model_registry.entities.deployment import DeploymentEvent
from model_registry.entities.masked_reports import mask_event, mask_status
from model_registry.entities.status_message import StatusMessage


@dataclass(frozen=True, slots=True)
class RejectedEvent:
    """A message that could not be understood or kept."""

    received_at: datetime
    subject: str
    reason: str
    payload: str
    """The beginning of what was published."""


@dataclass(slots=True)
class NodeReportBatch:
    """Events, status messages, and what was rejected. Their order is not significant."""

    events: list[DeploymentEvent] = field(default_factory=list)
    statuses: list[StatusMessage] = field(default_factory=list)
    rejected: list[RejectedEvent] = field(default_factory=list)
    heard: dict[str, datetime] = field(default_factory=dict)
    """When NATS got the newest message of each node, those of heartbeats excepted."""
    masked: int = 0
    """Secrets that were in it."""
    masked_rejected: int = 0
    """Secrets that were in what was rejected."""

    def add_event(self, event: DeploymentEvent, received_at: datetime) -> None:
        """A model's event. Its secrets are masked, in place."""
        self.masked += mask_event(event)
        self.events.append(event)
        self._hear(event.node_id, received_at)

    def add_status(self, status: StatusMessage) -> None:
        """What a node has loaded, or that all is as before. Its secrets are masked, in place."""
        self.masked += mask_status(status)
        self.statuses.append(status)
        if not status.is_heartbeat:
            self._hear(status.node_id, status.received_at)

    def add_rejected(self, rejected: RejectedEvent, masked: int) -> None:
        """A message that was rejected, masked already."""
        self.rejected.append(rejected)
        self.masked_rejected += masked

    def _hear(self, node_id: str, received_at: datetime) -> None:
        before = self.heard.get(node_id)
        if before is None or received_at > before:
            self.heard[node_id] = received_at


@dataclass(frozen=True, slots=True)
class RecordResult:
    """What became of it."""

    revision: int
    unsettled: frozenset[str] = frozenset()
    """Nodes whose heartbeats mean nothing to the database: their status messages are needed whole."""
    refused: frozenset[tuple[str, str, str]] = frozenset()
    """Keys of deployments that their nodes have no room for."""
    crowded: frozenset[str] = frozenset()
    """Nodes that there is no room for: nothing that they said was kept."""
