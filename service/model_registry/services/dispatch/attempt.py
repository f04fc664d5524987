"""One try of a request at one target: connect, send, wait for the head, read the body, and say how it ended.

The caller left: the task is cancelled, and what is open is closed on the way out. Too slow: the connection is
aborted by a timer, which is cheaper than a cancelled task, and tells which of the two it was.
"""

from __future__ import annotations

import asyncio
import time
from functools import lru_cache

from model_registry.http11.addresses import Origin
from model_registry.http11.connections import Connections
from model_registry.http11.errors import ConnectionBroken, NotConnected
from model_registry.http11.exchange import Exchange
from model_registry.http11.response_parser import ResponseHead
from model_registry.services.dispatch.caller_body import CallerBody
from model_registry.services.dispatch.header_rules import Header, retry_after
from model_registry.services.dispatch.lease import Lease
from model_registry.services.dispatch.plan import Plan
from model_registry.services.dispatch.targets import Outcome, Target

_EVENTS = b"text/event-stream"
_BODILESS = frozenset({b"GET", b"HEAD", b"DELETE", b"OPTIONS"})
_SERVER_ERROR = 500


class Attempt:
    """One try. `begin`, then `read` until the end, then `close`; `close` in any case."""

    __slots__ = (
        "_answered",
        "_deadline",
        "_exchange",
        "_headers",
        "_lease",
        "_loop",
        "_moved",
        "_outcome",
        "_timer",
        "_upload",
        "_waits_for_caller",
        "began_at",
        "expired",
        "head",
        "plan",
        "reason",
        "sent",
        "upstream_seconds",
    )

    def __init__(self, plan: Plan, lease: Lease, headers: list[Header]) -> None:
        self.plan = plan
        self._lease = lease
        self._headers = headers
        self._loop = asyncio.get_running_loop()
        self._exchange: Exchange | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._upload: asyncio.Task[None] | None = None
        self._deadline: float | None = None
        self._moved = 0.0
        self._waits_for_caller = False
        self._answered = False
        """Whether any byte of the response had come when the connection broke."""
        self._outcome: Outcome | None = None
        self.began_at = time.monotonic()
        self.upstream_seconds = 0.0
        """From the request's end, or its beginning where it streams, to the head of the response."""
        self.expired = False
        self.sent = False
        """Whether any byte was handed to a connection."""
        self.head: ResponseHead | None = None
        self.reason = ""
        """Why it failed, for people."""

    @property
    def target(self) -> Target:
        """Where it went."""
        return self._lease.target

    async def begin(self, connections: Connections) -> Outcome:
        """Send the request and wait for the head of the response.

        A kept connection may be closed by the upstream just now. If the request can be sent again, it is, over a new
        one; else it gets a new one from the start. Errors: CallerLeft.
        """
        fresh = not self.plan.repeatable or isinstance(self.plan.body, CallerBody)
        outcome = await self._once(connections, fresh=fresh)
        if outcome.kind == "broken" and not self._answered and self._exchange is not None and self._exchange.reused:
            self._release()
            outcome = await self._once(connections, fresh=True)
        self._outcome = outcome
        return outcome

    async def _once(self, connections: Connections, *, fresh: bool) -> Outcome:
        origin, prefix = _place(self.target.url)
        try:
            exchange = None if fresh else connections.kept(origin)
            if exchange is None:
                exchange = await connections.exchange(origin, fresh=True)
        except NotConnected as error:
            self.reason = f"no connection: {error}"
            return Outcome("not_connected")
        self._exchange = exchange
        sent_at = time.monotonic()
        try:
            await self._send(exchange, prefix + self.plan.path)
            self.head = head = await exchange.response()
        except ConnectionBroken as error:
            return self._failed(error)
        finally:
            if exchange.sent:
                self.sent = True
                if self.plan.on_sent is not None:
                    self.plan.on_sent()
            now = time.monotonic()
            self.upstream_seconds += now - sent_at
        if not exchange.came:
            self._see_to_pauses(head)
        if head.status >= _SERVER_ERROR or head.status in {401, 403, 429}:
            self.reason = f"it answered {head.status}"
            return Outcome("status", head.status, retry_after(head.headers))
        self._lease.began(now)
        return Outcome("ok", head.status)

    async def _send(self, exchange: Exchange, target: bytes) -> None:
        plan, body = self.plan, self.plan.body
        if isinstance(body, CallerBody):
            begun = plan.rewrite(self.target, body.begun) if plan.rewrite is not None else body.begun
            length = _CHUNKED
            if body.length is not None:
                length = (b"content-length", b"%d" % (body.length + len(begun) - len(body.begun)))
            await exchange.send_head(plan.method, target, [*self._headers, length])
            self._watch(plan.idle_seconds, total=None)
            self._upload = asyncio.create_task(self._pass_on(exchange, body, begun))
            return
        if plan.rewrite is not None:
            body = plan.rewrite(self.target, body)
        headers = self._headers
        if body or plan.method not in _BODILESS:
            headers = [*headers, (b"content-length", b"%d" % len(body))]
        exchange.send_whole(plan.method, target, headers, body)
        self._watch(plan.idle_seconds, total=plan.total_seconds)
        await exchange.room()

    async def _pass_on(self, exchange: Exchange, body: CallerBody, data: bytes) -> None:
        """Send the caller's body as it comes, while the response may begin."""
        body.rewind()
        try:
            while data:
                self._moved = self._loop.time()
                if not await exchange.send(data):
                    return
                data = await body.read()
            await exchange.end()
        except BaseException:
            exchange.abort()
            raise
        if self.plan.total_seconds is not None and self.head is None:
            self._watch(self.plan.idle_seconds, total=self.plan.total_seconds)

    async def read(self) -> bytes:
        """The next piece of the response's body; empty at its end. Errors: ConnectionBroken."""
        assert self._exchange is not None  # noqa: S101 (begun)
        self._waits_for_caller = False
        self._moved = self._loop.time()
        try:
            data = await self._exchange.read()
        except ConnectionBroken as error:
            self._outcome = self._failed(error)
            raise
        self._waits_for_caller = True
        return data

    def whole(self) -> bytes | None:
        """The body, if all of it has come and none was read."""
        return self._exchange.whole() if self._exchange is not None else None

    @property
    def complete(self) -> bool:
        """Whether the whole response has come."""
        return self._exchange is not None and self._exchange.complete

    def close(self) -> None:
        """Let go of the connection and of the place, and report how it ended. Again: nothing."""
        begun = self._outcome
        now = time.monotonic()
        if begun is None or (begun.kind == "ok" and not self.complete):
            outcome = Outcome("client_left", seconds=now - self.began_at)
        else:
            outcome = Outcome(begun.kind, begun.status, begun.retry_after, now - self.began_at)
        self._release()
        self._lease.finish(outcome, now)

    def _release(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._upload is not None:
            if not self._upload.cancel() and not self._upload.cancelled():
                self._upload.exception()  # known here as what broke the connection
            self._upload = None
        if self._exchange is not None:
            self._exchange.close()
            self._exchange = None

    def _failed(self, error: ConnectionBroken) -> Outcome:
        upload = self._upload
        if upload is not None and upload.done() and not upload.cancelled() and (cause := upload.exception()):
            raise cause
        self._answered = error.began or self.expired
        self.reason = "no answer in time" if self.expired else str(error)
        return Outcome("timeout" if self.expired else "broken")

    def _watch(self, idle: float, *, total: float | None) -> None:
        """Abort when this takes too long. One timer, which looks again when it was too early."""
        self._moved = now = self._loop.time()
        self._deadline = None if total is None else now + total
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(idle if total is None else total, self._look)

    def _see_to_pauses(self, head: ResponseHead) -> None:
        """From here on a pause may be `idle_seconds` long; a stream has no other limit."""
        plan = self.plan
        if plan.streams or _is_events(head):
            self._deadline = None
        if self._timer is not None and (self._deadline is None or plan.idle_seconds < (plan.total_seconds or 0)):
            self._moved = self._loop.time()
            self._timer.cancel()
            self._timer = self._loop.call_later(plan.idle_seconds, self._look)

    def _look(self) -> None:
        now, plan = self._loop.time(), self.plan
        body = plan.body
        held = self._waits_for_caller or (isinstance(body, CallerBody) and body.waits)
        idle_end = now + plan.idle_seconds if held else self._moved + plan.idle_seconds
        if self._deadline is None:
            end = idle_end
        elif self.head is None:
            end = self._deadline
        else:
            end = min(self._deadline, idle_end)
        if now < end:
            self._timer = self._loop.call_later(end - now, self._look)
            return
        self.expired = True
        if self._exchange is not None:
            self._exchange.abort()


_CHUNKED: Header = (b"transfer-encoding", b"chunked")


def _is_events(head: ResponseHead) -> bool:
    for name, value in head.headers:
        if name == b"content-type":
            return value.lower().startswith(_EVENTS)
    return False


@lru_cache(maxsize=4096)
def _place(url: str) -> tuple[Origin, bytes]:
    """The server of a target, and the path of its address."""
    origin = Origin.of(url)
    path = url.partition("://")[2].partition("/")[2]
    return origin, f"/{path}".rstrip("/").encode() if path else b""
