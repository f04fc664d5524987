"""The correct state of deployments after messages of nodes: the rule of docs/gpu-events.md, as plainly as possible.

It takes all messages at once, so the order of delivery, batches and repeats cannot matter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

STAGES = ["nothing", "lost", "loading", "loaded", "error", "unloaded"]

Key = tuple[str, str]
"""A node and a model. Everything here is of one provider type."""
Content = dict[str, Any]
"""A deployment's status, and what else a message may say of it."""

NOTHING: Content = {"status": "nothing"}
TELLING = ("vram_allocated_mb", "endpoint", "error_message", "metadata")


@dataclass(frozen=True)
class Event:
    """A node's report about one model."""

    node: str
    model: str
    at: Any
    """A time, or anything else that has an order."""
    content: Content


@dataclass(frozen=True)
class Status:
    """A node's report of all its loaded models."""

    node: str
    at: Any
    listed: dict[str, Content] = field(default_factory=dict)


def truth(said: Sequence[Event | Status]) -> dict[Key, tuple[Any, ...]]:
    """Status and content of every deployment ever mentioned."""
    statuses = [one for one in said if isinstance(one, Status)]
    events = [one for one in said if isinstance(one, Event)]
    events += [Event(one.node, model, one.at, content) for one in statuses for model, content in one.listed.items()]
    found = {}
    for node, model in {(event.node, event.model) for event in events}:
        # A status message that does not list it says of it that it is not there.
        silences = [(one.at, NOTHING) for one in statuses if one.node == node and model not in one.listed]
        spoken = [(event.at, event.content) for event in events if (event.node, event.model) == (node, model)]
        _, newest = max(silences + spoken, key=lambda one: (one[0], STAGES.index(one[1]["status"]), _rest(one[1])))
        found[node, model] = shown(newest)
    return found


def shown(content: Content) -> tuple[Any, ...]:
    """A deployment's content as it is compared."""
    status = "unloaded" if content is NOTHING else content["status"]
    return (status, *(content.get(name) for name in TELLING[:-1]), content.get("metadata") or {})


def _rest(content: Content) -> tuple[Any, ...]:
    """Any total order would do; this is the database's: null before all else."""
    values = [content.get(name) for name in TELLING[:-1]]
    metadata = content.get("metadata") or {}
    return (
        *((value is not None, value or (0 if i == 0 else "")) for i, value in enumerate(values)),
        sorted(metadata.items()),
    )
