"""One request to be dispatched: where it may go, how often, for how long, and with which body."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from model_registry.entities.model_service import Strategy
from model_registry.services.dispatch.caller_body import CallerBody
from model_registry.services.dispatch.targets import Target

Headers = Sequence[tuple[bytes, bytes]]
"""Names in lower case, as ASGI has them."""

IDLE_SECONDS = 60.0
"""Longest pause within a response, and of an upstream that does not read on."""


@dataclass(slots=True)
class Plan:
    """What the dispatcher is to do with one request. Nobody changes it; freezing would take microseconds."""

    name: str
    """The model service's type, or the model: queue and retry budget are one per name. A label of metrics, so it is
    never a caller's text."""
    capability: str
    targets: Sequence[Target]
    strategy: Strategy
    repeatable: bool
    """Whether it may be sent again after it was sent to a target that failed."""
    total_seconds: float | None
    """For one try: from the end of the request to the end of the response. None: `idle_seconds` alone bound it."""
    method: bytes
    path: bytes
    """Appended to the target's address: path and query."""
    body: bytes | CallerBody
    streams: bool = False
    """Whether `total_seconds` end with the head of the response, as they do for server-sent events in any case."""
    idle_seconds: float = IDLE_SECONDS
    sticky: str | None = None
    most_tries: int = 4
    queue: int = 100
    """Requests of this name that may wait for a free place."""
    queue_seconds: float = 10.0
    on_sent: Callable[[], None] | None = None
    """Called when a byte of the request is sent, at every try."""
    before_sending: Callable[[Target], Awaitable[None]] | None = None
    """Awaited each time a target is chosen, before it gets a byte. What it raises ends the request, unsent."""
    rewrite: Callable[[Target, bytes], bytes] | None = None
    """The body for a target, or what was read first of a body that is passed on as it comes."""
