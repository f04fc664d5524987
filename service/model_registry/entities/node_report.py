"""Node reports, batched for one transaction, and the result of recording them. Parsing them is in `fleet/`."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from model_registry.entities.deployment import DeploymentEvent
from model_registry.entities.masked_reports import mask_event, mask_status
from model_registry.entities.status_message import StatusMessage


@dataclass(frozen=True, slots=True)
class RejectedEvent:
    """A message that is unreadable, or for which there was no room."""

    received_at: datetime
    subject: str
    reason: str
    payload: str
    """The beginning of the message's payload."""


@dataclass(slots=True)
class NodeReportBatch:
    """Events, status messages, and what was rejected. Their order is not significant."""

    events: list[DeploymentEvent] = field(default_factory=list)
    statuses: list[StatusMessage] = field(default_factory=list)
    rejected: list[RejectedEvent] = field(default_factory=list)
    heard: dict[str, datetime] = field(default_factory=dict)
    """When NATS received each node's newest message, heartbeats excepted."""
    masked: int = 0
    """Number of secrets masked in events and statuses."""
    masked_rejected: int = 0
    """Number of secrets masked in rejections."""

    def add_event(self, event: DeploymentEvent, received_at: datetime) -> None:
        """Add a model's event, after masking its secrets in place."""
        self.masked += mask_event(event)
        self.events.append(event)
        self._note_received(event.node_id, received_at)

    def add_status(self, status: StatusMessage) -> None:
        """Add a status message or heartbeat, after masking its secrets in place."""
        self.masked += mask_status(status)
        self.statuses.append(status)
        if not status.is_heartbeat:
            self._note_received(status.node_id, status.received_at)

    def add_rejected(self, rejected: RejectedEvent, masked: int) -> None:
        """Add a rejection that is masked already."""
        self.rejected.append(rejected)
        self.masked_rejected += masked

    def _note_received(self, node_id: str, received_at: datetime) -> None:
        before = self.heard.get(node_id)
        if before is None or received_at > before:
            self.heard[node_id] = received_at


@dataclass(frozen=True, slots=True)
class RecordResult:
    """Result of recording a batch."""

    revision: int
    unsettled: frozenset[str] = frozenset()
    """Nodes whose heartbeats the database cannot interpret: record their status messages whole."""
    refused: frozenset[tuple[str, str, str]] = frozenset()
    """Keys of deployments refused because their nodes have too many."""
    crowded: frozenset[str] = frozenset()
    """Nodes refused because there are too many: nothing of them was recorded."""
