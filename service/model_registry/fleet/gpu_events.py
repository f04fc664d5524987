"""Parses the events of GPU nodes: every documented form, and nothing else.

Wire formats were collected from running publishers (docs/gpu-events.md). Pure: the time of receipt is an argument.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from model_registry.entities.deployment import LIVE_STATUSES, DeploymentEvent
from model_registry.entities.node import StatusMessage
from model_registry.errors import InvalidEvent, Reason
from model_registry.fleet.event_fields import (
    clamp_event_time,
    event_of,
    first,
    node_of,
    parse_time,
    read_object,
    split_key,
)
from model_registry.fleet.status_messages import read_status
from model_registry.messaging.subjects import EVENT_SUBJECTS, LOADED, STATUS, UNLOADED

_MOST_SHOWN = 5


def _nobody(_node_id: str) -> str | None:
    return None


@dataclass(slots=True)
class NodeMessage:
    """The content of a message; empty for a connection test."""

    event: DeploymentEvent | None = None
    """A change of one model."""
    status: StatusMessage | None = None
    """Everything that the node has loaded."""
    problems: list[Reason] = field(default_factory=list)
    """Unreadable parts of a status message. The others count all the same."""

    @property
    def events(self) -> list[DeploymentEvent]:
        """All events about models."""
        if self.event is not None:
            return [self.event]
        listed = (self.status and self.status.listed) or []
        return [one for one in listed if isinstance(one, DeploymentEvent)]

    @property
    def node_id(self) -> str | None:
        """The node that the message is about."""
        about = self.event or self.status
        return about.node_id if about else None

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing in it to record."""
        return self.event is None and self.status is None

    @property
    def is_heartbeat(self) -> bool:
        """Whether it only confirms the node's last status."""
        return self.status is not None and self.status.is_heartbeat

    @property
    def size(self) -> int:
        """The number of events it counts as."""
        return max(1, len(self.status.listed or ())) if self.status else 1

    @property
    def problem(self) -> str:
        """The first problems, in one line."""
        more = len(self.problems) - _MOST_SHOWN
        return "; ".join(map(str, self.problems[:_MOST_SHOWN])) + (f"; and {more} more" if more > 0 else "")


NOTHING = NodeMessage()
"""The shared empty content; contents are replaced, never changed."""


def read_event(
    subject: str,
    payload: bytes,
    *,
    received_at: datetime,
    default_node: str,
    known: Callable[[str], str | None] = _nobody,
) -> NodeMessage:
    """Parse a message; the `{"test": true}` that people send is empty. Errors: InvalidEvent, and no other.

    `known` returns the digest of a node's last status message: an equal one is a heartbeat.
    """
    content = read_object(payload)
    if content.get("test") is True and not content.keys() & {"model_id", "model_key", "data"}:
        return NOTHING
    if subject == STATUS:
        status, problems = read_status(content, received_at, default_node, known)
        return NodeMessage(status=status, problems=problems)
    if subject not in (LOADED, UNLOADED):
        raise InvalidEvent(f"The subject {subject!r} is not one of {', '.join(EVENT_SUBJECTS)}.")
    return NodeMessage(_read_model(subject, content, received_at, default_node))


def _read_model(subject: str, content: dict[str, Any], received_at: datetime, default_node: str) -> DeploymentEvent:
    """Parse an event of one model, in any of the three forms: by node_id, by model_key, or by provider."""
    key = content.get("model_key")
    provider: Any
    model: Any
    if key is not None:
        provider, model = split_key(key, "model_key")
    else:
        provider, model = first(content, ("provider_type", "provider")), content.get("model_id")
    if provider is None or model is None:
        raise InvalidEvent("It names no model: it needs model_key, or provider_type and model_id.")
    status = content.get("status")
    if status is None:
        status = "loaded" if subject == LOADED else "unloaded"
    elif subject == UNLOADED and isinstance(status, str) and status in LIVE_STATUSES:
        status = "unloaded"  # a payload copied from the loaded form: the subject decides
    node = node_of(content.get("node_id"), default_node)
    event_at = clamp_event_time(parse_time(content, ("ts", "timestamp")), received_at)
    return event_of(content, DeploymentEvent(node, provider, model, status, event_at))
