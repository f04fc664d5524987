"""One request that is dispatched: what came, who asks, and the answer on its way back."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from itertools import islice

from starlette.datastructures import QueryParams
from starlette.types import Message, Receive, Scope, Send

from model_registry.api.caller import ANYBODY, Caller
from model_registry.api.long_work import Room
from model_registry.api.problems import summary
from model_registry.api.response_heads import ResponseCycle
from model_registry.api.shared_headers import SECURITY_HEADERS, private
from model_registry.entities.spelling import MOST_LISTED
from model_registry.errors import Invalid, Reason
from model_registry.services.dispatch.answer import Answer
from model_registry.services.dispatch.caller_body import CallerBody, read_up_to
from model_registry.services.dispatch.header_rules import Header, request_headers
from model_registry.services.dispatch.kept_answers import MOST_ANSWER_BYTES, Messages, size_of

_READ_BYTES = 8
"""That a byte of JSON may well take in memory once it is read."""
_SMALL_BYTES = 256 * 2**10
"""Of a body that needs no room."""
_CACHED = frozenset({"GET", "HEAD"})
"""Methods whose answers a cache may keep."""
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
    room: Room
    """For large bodies."""
    cycle: ResponseCycle | None = None
    """The request as the connection knows it, where it comes from one."""
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
    """What was answered, where it is to be kept and is not too large."""
    sent: bool | None = None
    """Whether any byte has been sent to an upstream; None: unknown."""
    upstream_seconds: float = 0.0
    overhead_seconds: float = 0.0
    _begun: tuple[bytes, bool] | None = None
    _recorded: int = 0
    _held: int = 0
    """Bytes of the room for large bodies."""

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

    def refuse_parameters(self) -> None:
        """Refuse a query, where the path takes none. Errors: Invalid, naming each parameter."""
        if query := self.scope["query_string"]:
            names = dict.fromkeys(name for name, _ in QueryParams(query).multi_items())
            what = "is not a known parameter; this path takes none"
            reasons = [Reason(name, what) for name in islice(names, MOST_LISTED)]
            raise Invalid(summary(tuple(reasons)) or "This path takes no parameters.", reasons=reasons)

    def upstream_headers(self) -> list[Header]:
        """The headers that an upstream gets."""
        return request_headers(self.headers, self.replica)

    async def read(self, most: int) -> tuple[bytes, bool]:
        """Read the body until it is whole, or longer than `most` bytes. Again: the same, and on if it is shorter.

        Errors: CallerLeft, TooManyRequests when large bodies of others fill the room for them.
        """
        if self._begun is None and self.cycle is not None and (body := self.cycle.take_body()) is not None:
            self._begun = body, True
        begun, whole = self._begun or (b"", False)
        if not whole and len(begun) <= most:
            began = time.perf_counter()
            self._begun = await read_up_to(self.receive, most, self._hold, begun)
            self.waited += time.perf_counter() - began
            return self._begun
        return begun, whole

    def _hold(self, size: int) -> None:
        """Take room for the body of this size so far."""
        if size > _SMALL_BYTES:
            self.room.take(size - self._held)
            self._held = size

    def hold_answer(self, size: int) -> None:
        """Take room for so much more of answers that are read here. Errors: TooManyRequests."""
        self.room.take(size * _READ_BYTES)
        self._held += size * _READ_BYTES

    def note_sent(self) -> None:
        """A byte has been sent to an upstream."""
        self.sent = True

    def leave(self) -> None:
        """Give back the room that the body took."""
        self.room.give_back(self._held)
        self._held = 0

    def rest(self, begun: bytes, cut: int = 0) -> CallerBody:
        """The whole body as a stream, of which `begun` was read, and `cut` bytes were taken out."""
        length = self.asked.get(b"content-length", b"")
        return CallerBody(self.receive, begun, int(length) - cut if length.isdigit() else None)

    async def send(self, message: Message) -> None:
        """Pass a part of the answer to the caller; wait while they do not read."""
        if self.replies is not None:
            self._record(self.replies, message)
        await self._send(message)

    async def replay(self, messages: Messages) -> None:
        """Answer with what was answered before."""
        head, *rest = messages
        self.status = head["status"]
        await self.send({**head, "headers": [*head["headers"], (b"x-registry-replayed", b"true")]})
        for message in rest:
            await self.send(message)

    def _record(self, replies: list[Message], message: Message) -> None:
        replies.append(dict(message))
        self._recorded += size_of(message)
        if self._recorded > MOST_ANSWER_BYTES:
            self.replies = None

    async def respond(self, answer: Answer) -> None:
        """Send an answer as it comes. Left early, the upstream stops. Errors: those of `Answer.read`."""
        with answer:
            if self.cycle is not None and self.replies is None and (body := answer.whole()) is not None:
                headers = self._head(answer.headers, answer.service, answer.attempts, answer.upstream_seconds)
                self.status = answer.status
                await self.cycle.respond(answer.status, headers, body)
                return
            await self.begin(answer)
            more = True
            while more:
                data = b"" if answer.complete else await answer.read()
                more = not answer.complete
                await self.send({"type": "http.response.body", "body": data, "more_body": more})

    async def begin(self, answer: Answer) -> None:
        """Send the head of an answer, with what the registry says about it."""
        await self.begin_with(answer.status, answer.headers, answer.service, answer.attempts, answer.upstream_seconds)

    async def begin_with(
        self, status: int, headers: list[Header], service: str, attempts: int, upstream_seconds: float
    ) -> None:
        """Send the head of an answer that one or several services have given."""
        self.status = status
        headers = self._head(headers, service, attempts, upstream_seconds)
        await self.send({"type": "http.response.start", "status": status, "headers": headers})

    def _head(self, headers: list[Header], service: str, attempts: int, upstream_seconds: float) -> list[Header]:
        self.upstream_seconds = upstream_seconds
        self.overhead_seconds = time.perf_counter() - self.started - self.waited - upstream_seconds
        headers = [
            *headers,
            *SECURITY_HEADERS,
            (b"x-registry-service", service.encode("ascii", "backslashreplace")),
            (b"x-registry-attempts", b"%d" % attempts),
            (b"x-registry-overhead-ms", b"%.2f" % (self.overhead_seconds * 1000)),
        ]
        return private(headers) if self.method in _CACHED else headers
