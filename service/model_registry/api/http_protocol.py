"""Limits on a connection until a request is complete: bytes, time, and number of connections.

Below ASGI, because a request that never becomes whole never gets there. What is refused is answered with a problem.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from model_registry.api.problems import problem_bytes
from model_registry.api.response_heads import ResponseCycle
from model_registry.api.whole_responses import WholeResponses
from model_registry.errors import HeadersTooLarge, Invalid, RegistryError, RequestTimeout, TooManyRequests, UrlTooLong

MOST_URL_BYTES = 16 * 2**10
MOST_HEADER_BYTES = 64 * 2**10
MOST_HEADERS = 100
_DISCARDED_BYTES = 64 * 2**20
"""Of a body that is refused: it is read and thrown away, so that the caller reads the answer, but not for ever."""
_PIPELINED = 32

CONNECTION = "model_registry.connection"
"""Where a request carries its connection, for what is passed on as it comes."""

_TOO_LONG = UrlTooLong(f"The URL is longer than {MOST_URL_BYTES // 2**10} KiB. Send long questions as a body.")
_TOO_LARGE = HeadersTooLarge(
    f"The headers are larger than {MOST_HEADER_BYTES // 2**10} KiB, or more than {MOST_HEADERS}. Send fewer."
)
_TOO_SLOW = RequestTimeout("The request did not arrive in time. Send it again, without pausing.")
_CROWDED = TooManyRequests("The service has as many connections as it can take. Try again in some seconds.")
_NO_HTTP = Invalid("This is not HTTP/1.1.")


@dataclass(slots=True)
class Arrivals:
    """What all connections of one server share."""

    most_connections: int
    idle_seconds: float = 10.0
    """Between two pieces of a request."""
    whole_seconds: float = 60.0
    """From a request's first byte to its last."""
    unread_seconds: float = 60.0
    """For a caller to read on in an answer; for the next piece of a request that is passed on as it comes."""
    look_seconds: float = 1.0
    refused: Callable[[str], None] = lambda _reason: None
    """Called with the reason of each refusal."""
    open: dict[GuardedProtocol, None] = field(default_factory=dict)
    waiting: dict[GuardedProtocol, None] = field(default_factory=dict)
    """Those from which a request is to come or is coming, longest first."""
    _looking: asyncio.TimerHandle | None = None

    def look(self) -> None:
        """Close what takes too long. Looks again as long as there is anything to look at."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        for connection in list(self.open):
            connection.close_if_overdue(now)
        self._looking = loop.call_later(self.look_seconds, self.look) if self.open else None

    def begin(self) -> None:
        """See that somebody looks."""
        if self._looking is None:
            self._looking = asyncio.get_running_loop().call_later(self.look_seconds, self.look)


class _Refused(Exception):
    """The request will not be read on."""


class GuardedProtocol(HttpToolsProtocol):
    """HTTP/1.1 over one connection, within limits."""

    arrivals: Arrivals
    dispatch: Any = None
    """What is asked before the application, past its layers. Both are set by `guarded_protocol`."""

    def __init__(self, *arguments: Any, **named: Any) -> None:  # noqa: ANN401 (uvicorn's)
        super().__init__(*arguments, **named)
        self._refusal: RegistryError | None = None
        self._head = True
        """Whether the next bytes belong to a head."""
        self._whole = True
        """Whether the newest request has arrived whole."""
        self._taken = False
        """Whether the application has the newest request."""
        self._is_patient = False
        """Whether the newest request may take as long as it likes to arrive, as long as something comes."""
        self._hang_up: Callable[[], object] | None = None
        self.hung_up = False
        """Whether the caller is gone."""
        self._head_bytes = self._discarded = self._beside_bytes = 0
        self._since = self._received = self._read_on = self._idle_since = self.loop.time()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection in; where there are too many, the one that has been waited for longest goes."""
        super().connection_made(WholeResponses(cast("asyncio.Transport", transport)))  # type: ignore[arg-type]
        arrivals = self.arrivals
        if len(arrivals.open) >= arrivals.most_connections:
            longest = next(iter(arrivals.waiting), None)
            if longest is None:
                self.refuse(_CROWDED, "too_many_connections")
                return
            longest.refuse(_CROWDED, "too_many_connections")
        arrivals.open[self] = arrivals.waiting[self] = None
        arrivals.begin()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self.arrivals.open.pop(self, None)
        self.arrivals.waiting.pop(self, None)
        super().connection_lost(exc)
        self.hung_up = True
        if self.scope is not None:
            scope: Any = self.scope
            scope.pop(CONNECTION, None)  # else the two keep each other
        if self._hang_up is not None:
            self._hang_up()

    def on_hang_up(self, act: Callable[[], object] | None) -> None:
        """Call this when the caller hangs up; None when nothing is to be called any more. At once if that has happened.

        For a request that is passed on as it comes: from here on it may arrive for as long as it likes.
        """
        self._hang_up = act
        self._is_patient = act is not None
        if self.hung_up and act is not None:
            act()

    def data_received(self, data: bytes) -> None:
        """Parse, unless the head has grown too large before it is whole."""
        if self._refusal is not None:
            return
        self._received = self.loop.time()
        if self._head:
            if self._whole:
                self._since = self._received
            self._head_bytes += len(data)
        self._beside_bytes += len(data)
        super().data_received(data)
        if not self._head and self._beside_bytes > MOST_HEADER_BYTES:
            self.refuse(_TOO_LARGE, "headers_too_large")
        if self._head and self._head_bytes > MOST_HEADER_BYTES:
            too_long = not self._whole and len(self.url) > MOST_URL_BYTES
            self.refuse(_TOO_LONG if too_long else _TOO_LARGE, "url_too_long" if too_long else "headers_too_large")

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        scope: Any = self.scope
        scope[CONNECTION] = self
        self._whole = self._taken = self._is_patient = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header. Those behind the body are not looked at: who may do what is decided by then."""
        if self._head:
            name = name.lower()
            if name == b"expect" and value.lower() == b"100-continue":
                self.expect_100_continue = True
            self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Let the application begin."""
        head_bytes, self._head, self._head_bytes, self._beside_bytes = self._head_bytes, False, 0, 0
        if len(self.url) > MOST_URL_BYTES:
            self._stop(_TOO_LONG)
        # What came may be more than the head; then it is counted.
        large = head_bytes > MOST_HEADER_BYTES and sum(len(n) + len(v) for n, v in self.headers) > MOST_HEADER_BYTES
        if large or len(self.headers) > MOST_HEADERS:
            self._stop(_TOO_LARGE)
        if len(self.pipeline) >= _PIPELINED:
            self._stop(_CROWDED)
        super().on_headers_complete()
        self._taken = True

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:  # noqa: ANN401 (uvicorn's)
        cycle.__class__ = ResponseCycle  # uvicorn makes its own, and offers no other way
        if self.dispatch is not None and (door := self.dispatch.door(cycle.scope["path"])) is not None:
            app = partial(self.dispatch, door, cycle=cycle)
        super()._start_asgi_task(cycle, app)

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body; of one that is refused already, throw it away."""
        self._beside_bytes = 0  # what comes without one is headers behind the body, or about its pieces
        if self.cycle.response_complete:
            self._discarded += len(body)
            if self._discarded > _DISCARDED_BYTES:
                self.transport.close()
            else:
                self._give_way()
            return
        super().on_body(body)

    def _give_way(self) -> None:
        """Read on in the next turn of the loop: uvloop takes megabytes at once from a caller that sends quickly."""
        self.transport.pause_reading()
        self.loop.call_soon(lambda: None if self.transport.is_closing() else self.transport.resume_reading())

    def on_message_complete(self) -> None:
        """The request is whole: from here on it is us who take long."""
        self._head, self._whole, self._discarded, self._beside_bytes = True, True, 0, 0
        if not self.cycle.response_complete:
            self.arrivals.waiting.pop(self, None)
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Wait for the next request. `close_if_overdue` sees to those that do not come, with no timer for each."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
            return
        self._idle_since = self.loop.time()
        if self in self.arrivals.open:
            self.arrivals.waiting[self] = None

    def pause_writing(self) -> None:
        """The caller does not read as fast as we write."""
        self._read_on = self.loop.time()
        super().pause_writing()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 (uvicorn's)
        """What uvicorn answers to bytes that cannot be parsed: here also what was refused while parsing."""
        refusal, self._refusal = self._refusal, None
        self.refuse(refusal or _NO_HTTP, _REASONS.get(type(refusal), "no_http"))

    def close_if_overdue(self, now: float) -> None:
        """Close the connection if a request or an answer has been under way for too long."""
        arrivals = self.arrivals
        if not self.flow.write_paused:
            self._read_on = now
        elif now - self._read_on > arrivals.unread_seconds:
            self.transport.abort()
            return
        if self._is_idle():
            if now - max(self._idle_since, self._received) > self.timeout_keep_alive:
                self.transport.close()
        elif self in arrivals.waiting:
            late = self._is_late(now)
            # A body that nobody reads is held up by us.
            if late and not self.flow.read_paused:
                self.refuse(_TOO_SLOW, "too_slow")

    def _is_idle(self) -> bool:
        """Whether it is between two requests."""
        cycle: Any = self.cycle  # None before the first request
        return self._whole and cycle is not None and cycle.response_complete and not self.pipeline

    def _is_late(self, now: float) -> bool:
        arrivals, pause = self.arrivals, now - self._received
        if self._is_patient:
            return pause > arrivals.unread_seconds
        return pause > arrivals.idle_seconds or now - self._since > arrivals.whole_seconds

    def refuse(self, error: RegistryError, reason: str) -> None:
        """Answer with a problem where no answer has begun, and close."""
        if self._refusal is not None or self.transport.is_closing():
            return
        self._refusal = error
        self.arrivals.waiting.pop(self, None)
        self.arrivals.refused(reason)
        if self._is_asked():
            self.transport.write(problem_bytes(error))
        self.transport.close()

    def _is_asked(self) -> bool:
        """Whether an answer written now is the answer to what was asked."""
        cycle: Any = self.cycle  # None before the first request
        if self.pipeline or (cycle is not None and cycle.response_started and not cycle.response_complete):
            return False
        if cycle is not None and not cycle.response_complete:
            return True
        if self._taken and not self._whole:
            return False  # it has its answer, before the whole of it was there
        # A connection without a request gets only the reason for the refusal.
        return bool(self._head and self._head_bytes) or not self._whole or self not in self.arrivals.open

    def _stop(self, error: RegistryError) -> None:
        self._refusal = error
        raise _Refused


_REASONS: dict[type, str] = {
    UrlTooLong: "url_too_long",
    HeadersTooLarge: "headers_too_large",
    TooManyRequests: "too_many_pipelined",
}


def guarded_protocol(arrivals: Arrivals, dispatch: Any = None) -> type[GuardedProtocol]:  # noqa: ANN401
    """The protocol of one server. `dispatch`: a DispatchApplication, which imports this module."""
    return type("GuardedProtocol", (GuardedProtocol,), {"arrivals": arrivals, "dispatch": dispatch})
