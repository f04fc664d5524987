"""One request that is dispatched: what came, who asks, and the answer on its way back."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from starlette.requests import HTTPConnection
from starlette.types import Message, Receive, Scope, Send

from model_registry.api.auth import ANYBODY, Caller, key_headers
from model_registry.api.shared_headers import SECURITY_HEADERS
from model_registry.services.dispatch.caller_body import CallerBody, read_up_to
from model_registry.services.dispatch.dispatcher import Answer
from model_registry.services.dispatch.header_rules import Header, request_headers

UNKNOWN = "unknown"
"""The label of what is not, or not yet, known to be a model service's."""


@dataclass(slots=True)
class DispatchRequest:
    """A request for a model or a model service, on ASGI itself."""

    scope: Scope
    receive: Receive
    _send: Send
    asked: dict[bytes, bytes]
    """Its headers; of one that is repeated the first."""
    replica: bytes
    """This replica's id."""
    caller: Caller = ANYBODY
    started: float = field(default_factory=time.perf_counter)
    name: str = UNKNOWN
    """The model type or model that it is for, once it is known to exist: a label of metrics."""
    capability: str = UNKNOWN
    status: int = 0
    """Of the answer that was begun; 0 before that."""
    waited: float = 0.0
    """Seconds that the caller's body was waited for."""
    replies: list[Message] | None = None
    """What was answered, where it is to be kept."""

    @property
    def method(self) -> str:
        """The method."""
        method: str = self.scope["method"]
        return method

    @property
    def headers(self) -> list[Header]:
        """The headers as they came; names in lower case."""
        headers: list[Header] = self.scope["headers"]
        return headers

    @property
    def connection(self) -> HTTPConnection:
        """For what looks at requests as Starlette has them."""
        return HTTPConnection(self.scope)

    def upstream_headers(self) -> list[Header]:
        """The headers that an upstream gets."""
        return request_headers(self.headers, self.replica, secret=key_headers(self.asked))

    async def read(self, most: int) -> tuple[bytes, bool]:
        """Read the body until it is whole, or longer than `most` bytes. Errors: CallerLeft."""
        began = time.perf_counter()
        try:
            return await read_up_to(self.receive, most)
        finally:
            self.waited += time.perf_counter() - began

    def rest(self, begun: bytes, cut: int = 0) -> CallerBody:
        """The whole body as a stream, of which `begun` was read, and `cut` bytes were taken out."""
        length = self.asked.get(b"content-length", b"")
        return CallerBody(self.receive, begun, int(length) - cut if length.isdigit() else None)

    async def send(self, message: Message) -> None:
        """Pass a part of the answer to the caller; wait while they do not read."""
        if self.replies is not None:
            self.replies.append(dict(message))
        await self._send(message)

    async def respond(self, answer: Answer) -> None:
        """Send an answer as it comes. Left early, the upstream stops. Errors: those of `Answer.read`."""
        with answer:
            await self.begin(answer)
            more = True
            while more:
                data = b"" if answer.complete else await answer.read()
                more = not answer.complete
                await self.send({"type": "http.response.body", "body": data, "more_body": more})

    async def begin(self, answer: Answer) -> None:
        """Send the head of an answer, with what the registry says about it."""
        overhead = time.perf_counter() - self.started - self.waited - answer.upstream_seconds
        self.status = answer.status
        headers = [
            *answer.headers,
            *SECURITY_HEADERS,
            (b"x-registry-service", answer.service.encode("ascii", "backslashreplace")),
            (b"x-registry-attempts", b"%d" % answer.attempts),
            (b"x-registry-overhead-ms", b"%.2f" % (overhead * 1000)),
        ]
        await self.send({"type": "http.response.start", "status": answer.status, "headers": headers})
