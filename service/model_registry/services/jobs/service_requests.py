"""The requests of jobs to model services, through the dispatcher: its breakers, its limits, and nothing sent twice."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import orjson

from model_registry.entities.service_capabilities import TRAINING
from model_registry.entities.service_job import MOST_ANSWER_BYTES
from model_registry.services.dispatch.answer import Answer
from model_registry.services.dispatch.dispatcher import Dispatcher
from model_registry.services.dispatch.header_rules import HOPS, Header, new_traceparent
from model_registry.services.dispatch.plan import Plan
from model_registry.services.dispatch.targets import Target

STATUS_SECONDS: Final = 10.0
"""For a question how far a service is. A service that trains on its event loop answers none: that is no failure."""
STATUS: Final = "training_status"
"""What questions about a training ask for. They take no place, and their failures close nobody off: a service that
trains answers none of them, and its other requests are not to suffer for it."""
_GOOD: Final = range(200, 300)


@dataclass(frozen=True, slots=True)
class Reply:
    """A service's whole answer."""

    target: Target
    status: int
    content_type: str
    body: bytes | None = field(repr=False)
    """None: too large to be kept."""
    size: int

    @property
    def is_good(self) -> bool:
        """Whether the service accepted the request."""
        return is_good(self.status)

    @property
    def fields(self) -> dict[str, Any]:
        """The JSON object that it is; nothing for any other body."""
        try:
            content = orjson.loads(self.body or b"")
        except orjson.JSONDecodeError:
            return {}
        return content if isinstance(content, dict) else {}

    def summary(self) -> dict[str, Any]:
        """What is kept of it beside its body."""
        kept = self.text() is not None
        return {"status": self.status, "content_type": self.content_type, "bytes": self.size, "kept": kept}

    def text(self) -> str | None:
        """Its body as the database can hold it. None: too large, also where bytes that are no UTF-8 make it so."""
        text = (self.body or b"").decode("utf-8", "replace").replace("\0", "\ufffd")
        return None if self.body is None or len(text.encode()) > MOST_ANSWER_BYTES else text


AboutToSend = Callable[[Target], Awaitable[None]]


class ServiceRequests:
    """Sends what jobs ask of services."""

    def __init__(self, dispatcher: Dispatcher, replica: str) -> None:
        self._dispatcher = dispatcher
        self._replica = replica.encode("ascii", "replace")

    async def post(  # noqa: PLR0913 (one fact of the request each)
        self,
        name: str,
        targets: Sequence[Target],
        path: str,
        body: bytes,
        *,
        seconds: float,
        about_to_send: AboutToSend,
    ) -> Reply:
        """Send a step of a training to one of the targets: once, and `about_to_send` is awaited before.

        No queue: who waits for an instance asks again. Errors: those of `Dispatcher.dispatch`; NoInstance and QueueFull
        mean that nothing was sent.
        """
        plan = Plan(
            name=name,
            capability=TRAINING,
            targets=targets,
            strategy="least_loaded",
            repeatable=False,
            total_seconds=seconds,
            method=b"POST",
            path=path.encode(),
            body=body,
            queue=0,
            before_sending=about_to_send,
        )
        headers = [(b"content-type", b"application/json"), (b"accept", b"application/json"), *self._own_headers()]
        with await self._dispatcher.dispatch(plan, headers) as answer:
            return await whole(answer)

    async def get(self, name: str, target: Target, path: str) -> Reply:
        """Ask how far a service is. Errors: those of `Dispatcher.dispatch`; TimeoutError."""
        async with asyncio.timeout(STATUS_SECONDS):
            with await self.open(name, target, path, idle_seconds=STATUS_SECONDS) as answer:
                return await whole(answer)

    async def open(self, name: str, target: Target, path: str, *, idle_seconds: float) -> Answer:
        """Begin a stream of how far a service is. Errors: those of `Dispatcher.dispatch`."""
        asked = replace(
            target,
            key=f"{STATUS}:{target.key.partition(':')[2]}",
            capabilities=frozenset({STATUS}),
            max_concurrent=None,
            accepts=True,
        )
        plan = Plan(
            name=name,
            capability=STATUS,
            targets=[asked],
            strategy="round_robin",
            repeatable=True,
            total_seconds=None,
            method=b"GET",
            path=path.encode(),
            body=b"",
            streams=True,
            idle_seconds=idle_seconds,
            most_tries=1,
            queue=0,
        )
        headers = [(b"accept", b"text/event-stream, application/json"), *self._own_headers()]
        return await self._dispatcher.dispatch(plan, headers)

    def _own_headers(self) -> list[Header]:
        return [(HOPS, self._replica), (b"traceparent", new_traceparent())]


def is_good(status: int) -> bool:
    """Whether a service accepted a request."""
    return status in _GOOD


async def whole(answer: Answer) -> Reply:
    """Read an answer to its end. What is beyond `MOST_ANSWER_BYTES` is counted, and not kept."""
    pieces: list[bytes] = []
    size = 0
    async for piece in answer.body():
        size += len(piece)
        if size <= MOST_ANSWER_BYTES:
            pieces.append(piece)
    content_type = next((value for name, value in answer.headers if name == b"content-type"), b"").decode("latin-1")
    body = b"".join(pieces) if size <= MOST_ANSWER_BYTES else None
    return Reply(answer.target, answer.status, content_type, body, size)
