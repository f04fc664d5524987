"""The outermost layer of every request: what all answers share, and the short way for those that are cached.

Plain ASGI, because it runs for every request: revision and staleness headers, `Cache-Control: no-cache`, metrics,
headers for browsers and proxies, a log line for what was refused or failed; and the one place where everything needs a
key once reads do. Which route takes what from whom is for `guarded_route.py`, once the route is known.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass

import structlog
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from model_registry.api.app_state import AppState
from model_registry.api.auth import PRIVATE
from model_registry.api.cached_responses import BodyCache, CachedBody, matches
from model_registry.api.outgoing import PIECE_BYTES, Outgoing
from model_registry.api.problems import REFUSALS, problem_response
from model_registry.api.shared_headers import SECURITY_HEADERS, missing_headers, private
from model_registry.errors import RegistryError, StorageError

log = structlog.get_logger(__name__)

LOOK_SECONDS = 2.0
"""For how long `no-cache` waits for the database."""

_UNTRACKED = frozenset({"/healthz", "/health", "/metrics"})
_OPEN = frozenset({"/healthz", "/health", "/readyz", "/metrics"})
"""What answers without a key where reads need one: it decides by itself what it tells whom."""
_SERVER_ERROR = 500

_READS = frozenset({"GET", "HEAD"})


@dataclass(slots=True)
class _Exchange:
    """What the metrics say of a request."""

    route: str = "unknown"
    status: int = _SERVER_ERROR
    tells_nothing: bool = False
    """Everything needs a key, and the caller has none."""


class RegistryMiddleware:
    """ASGI middleware around the whole application."""

    def __init__(self, app: ASGIApp, state: AppState, bodies: BodyCache) -> None:
        self._app = app
        self._state = state
        self._bodies = bodies
        self._outgoing = Outgoing()
        self._reads_are_open = state.authenticator.reads_are_open

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        exchange = _Exchange(tells_nothing=not self._reads_are_open)
        try:
            asked = dict(reversed(scope["headers"]))  # reversed: of a header that is repeated the first counts
            shows_key = b"authorization" in asked or b"x-api-key" in asked
            if (
                scope["method"] in _READS
                and b"no-cache" in asked.get(b"cache-control", b"").lower()
                and (shows_key or self._reads_are_open)
            ):
                await self._look_first()
            cached = self._cached(scope)
            if cached is not None:
                exchange.route = cached.route
            refusal = None
            if self._needs_key(scope, cached, shows_key=shows_key):
                refusal = await self._refusal(scope)
                exchange.tells_nothing &= refusal is not None
            if refusal is not None:
                await problem_response(refusal)(scope, receive, self._watched(exchange, scope, send))
            elif cached is not None:
                await self._serve(cached, asked, exchange, scope, send)
            else:
                await self._answer(exchange, scope, receive, send)
        finally:
            seconds = time.perf_counter() - started
            self._state.metrics.request(scope["method"], exchange.route, exchange.status, seconds)
            if exchange.status >= 400 and scope["path"] not in _UNTRACKED:  # noqa: PLR2004
                seen = {"path": scope["path"], "status": exchange.status, "seconds": round(seconds, 4)}
                log.info("request", method=scope["method"], **seen)

    def _cached(self, scope: Scope) -> CachedBody | None:
        registry = self._state.registry
        if scope["method"] not in _READS or not registry.loaded:
            return None
        return self._bodies.get((scope.get("raw_path") or b"", scope["query_string"]), registry.snapshot)

    def _needs_key(self, scope: Scope, cached: CachedBody | None, *, shows_key: bool) -> bool:
        """Whether the key is looked at here: always where reads need one, also to learn what there is and what not.

        Elsewhere routes look by themselves, but what is cached reaches none.
        """
        if not self._reads_are_open:
            return scope["path"] not in _OPEN or scope["method"] not in _READS
        return cached is not None and shows_key and not self._state.authenticator.takes_any_key(scope["path"])

    async def _refusal(self, scope: Scope) -> RegistryError | None:
        """Why the caller may not read, counted; None when they may."""
        try:
            await self._state.authenticator.require(HTTPConnection(scope), "read")
        except RegistryError as error:
            if reason := REFUSALS.get(type(error)):
                self._state.metrics.refused(reason)
            return error
        return None

    async def _serve(
        self, cached: CachedBody, asked: dict[bytes, bytes], exchange: _Exchange, scope: Scope, send: Send
    ) -> None:
        """Answer from the cache. Most requests end here, so it does what it must and nothing more."""
        headers = [*cached.headers, *self._state_headers(cached.headers), *SECURITY_HEADERS]
        if not self._reads_are_open:
            headers = private(headers)
        tags = asked.get(b"if-none-match")
        if tags is not None and matches(tags.decode("latin-1"), cached.etag):
            exchange.status = 304
            await send({"type": "http.response.start", "status": 304, "headers": headers})
            await send({"type": "http.response.body", "body": b""})
            return
        exchange.status = 200
        headers.append((b"content-type", cached.media_type.encode()))
        headers.append((b"content-length", str(len(cached.body)).encode()))
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        body = b"" if scope["method"] == "HEAD" else cached.body
        await self._send_body({"type": "http.response.body", "body": body}, send)

    async def _answer(self, exchange: _Exchange, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the application answer."""
        is_head = scope["method"] == "HEAD"
        if is_head:
            scope = {**scope, "method": "GET"}  # no route knows HEAD: it is a GET whose body is not sent
        watched = self._watched(exchange, scope, send, is_head=is_head)
        await self._app(scope, receive, watched)
        exchange.route = str(getattr(scope.get("route"), "path", "unknown"))

    def _watched(self, exchange: _Exchange, scope: Scope, send: Send, *, is_head: bool | None = None) -> Send:
        """A `send` that notes the status, and adds what every answer carries."""
        without_body = scope["method"] == "HEAD" if is_head is None else is_head

        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start":
                exchange.status = message["status"]
                headers = [*message["headers"], *missing_headers(message["headers"])]
                if not exchange.tells_nothing:
                    headers += self._state_headers(headers)
                if PRIVATE in scope or not self._reads_are_open:
                    headers = private(headers)
                message["headers"] = headers
            elif without_body:
                message = {**message, "body": b""}
            await self._send_body(message, send)

        return watched

    async def _send_body(self, message: Message, send: Send) -> None:
        if len(message.get("body", b"")) > PIECE_BYTES:
            await self._outgoing.send(send, message)
        else:
            await send(message)

    async def _look_first(self) -> None:
        """What no-cache asks for. With the database away or hanging the answer is the last snapshot, and says so."""
        try:
            await self._state.registry.refresh_within(LOOK_SECONDS)
        except StorageError as error:
            log.debug("revision check failed", error=error.message)

    def _state_headers(self, given: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        registry = self._state.registry
        if not registry.loaded:
            return []
        headers = []
        if all(name != b"x-registry-revision" for name, _ in given):  # an answer may be about an earlier one
            headers.append((b"x-registry-revision", str(registry.snapshot.revision).encode()))
        stale = registry.stale_seconds()
        if stale is not None:
            headers.append((b"x-registry-stale", str(int(stale)).encode()))
        return headers
