"""A GPU node: its row, and its reports, batched for one transaction. Parsing them is in `fleet/`.

Secrets in reports are masked before these are compared, stored, published or shown: a node must not be refused for its
model server's output. Its messages must give the same rows in any order and with any repeats: so the same text always
gets the same mask.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, StringConstraints

from model_registry.entities.base import LONG_NAME_LENGTH, NAME_LENGTH, Draft, JsonObject, Row, Text, without
from model_registry.entities.deployment import ENDPOINT_LENGTH, ERROR_LENGTH, PROVIDER_TYPE_LENGTH, DeploymentEvent
from model_registry.entities.secret_text import masked_text
from model_registry.entities.secret_values import masked_value

NodeStatus = Literal["ready", "lost"]

NODE_STATUSES: tuple[NodeStatus, ...] = get_args(NodeStatus)


class Node(Row):
    """A node as stored. Fields that change with every heartbeat are as of the row's last change."""

    node_id: str
    status: str = "ready"
    cordoned: bool = False
    labels: dict[str, Any] = {}
    endpoint: str | None = None
    announced_endpoint: str | None = None
    vram_total_mb: int | None = None
    vram_used_mb: int | None = None
    vram_free_mb: int | None = None
    last_seen_at: str | None = None
    status_at: str | None = None
    lost_at: str | None = None
    metadata: dict[str, Any] = {}


_LABEL_LENGTH = 200


def _label_problem(labels: dict[str, Any]) -> str | None:
    bad = next((key for key, text in labels.items() if not isinstance(text, str) or len(text) > _LABEL_LENGTH), None)
    return None if bad is None else f"the label {bad!r} must be text of at most {_LABEL_LENGTH} characters"


class NodeDraft(Draft):
    """Fields of a node that administrators set; the node reports the rest."""

    endpoint: Annotated[Text, StringConstraints(min_length=1, max_length=2000)] | None = Field(
        None,
        description="URL of the node's models, overriding the announced one; null: use the announced one.",
        examples=["http://gpu-node-1:11434/v1"],
    )
    labels: Annotated[JsonObject, without(_label_problem)] = Field({}, examples=[{"zone": "cellar"}])
    cordoned: bool = Field(default=False, description="Whether the node is excluded from routing.")


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


_LENGTHS = {
    "node_id": NAME_LENGTH,
    "provider_type": PROVIDER_TYPE_LENGTH,
    "announced_model": LONG_NAME_LENGTH,
    "endpoint": ENDPOINT_LENGTH,
    "error_message": ERROR_LENGTH,
}


def mask_event(event: DeploymentEvent) -> int:
    """Mask the secrets of an event in place; return their number."""
    number = _mask(event, "node_id", "provider_type", "announced_model", "endpoint", "error_message")
    if event.metadata:
        event.metadata, count = masked_value(event.metadata)
        number += count
    return number


def mask_status(status: StatusMessage) -> int:
    """Mask the secrets of a status message in place; return their number."""
    number = _mask(status, "node_id", "endpoint")
    if status.gpus:
        status.gpus, count = masked_value(status.gpus)
        number += count
    for listed in status.listed or ():
        if isinstance(listed, DeploymentEvent):
            number += mask_event(listed)
        else:
            number += _mask(listed, "provider_type", "announced_model")
    return number


def _mask(report: DeploymentEvent | StatusMessage | UnreadableModel, *columns: str) -> int:
    """Mask texts in place, and cut them to the columns' lengths: a mask is longer than a short password."""
    number = 0
    for column in columns:
        shown, count = masked_text(getattr(report, column) or "")
        if count:
            setattr(report, column, shown[: _LENGTHS[column]])
            number += count
    return number


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
    received: dict[str, datetime] = field(default_factory=dict)
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
        before = self.received.get(node_id)
        if before is None or received_at > before:
            self.received[node_id] = received_at


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
