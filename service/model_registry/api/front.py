"""The outermost layer of every request: what all answers share, and the short way for those that are cached.

Plain ASGI, because it runs for every request: revision and staleness headers, `Cache-Control: no-cache`, metrics, and a
log line for what was refused or failed. Who may send what is for `guarded_route.py`, once the route is known.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass

import structlog
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from model_registry.api.problems import REFUSALS, problem_response
from model_registry.api.responses import BodyCache, CachedBody, matches
from model_registry.api.state import State
from model_registry.errors import RegistryError, StorageError

log = structlog.get_logger(__name__)

LOOK_SECONDS = 2.0
"""For how long `no-cache` waits for the database."""

_UNTRACKED = frozenset({"/healthz", "/metrics"})
_SERVER_ERROR = 500

_READS = frozenset({"GET", "HEAD"})


@dataclass(slots=True)
class _Exchange:
    """What the metrics say of a request."""

    route: str = "unknown"
    status: int = _SERVER_ERROR


class Front:
    """ASGI middleware around the whole application."""

    def __init__(self, app: ASGIApp, service: State, bodies: BodyCache) -> None:
        self._app = app
        self._service = service
        self._bodies = bodies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        exchange = _Exchange()
        try:
            asked = dict(reversed(scope["headers"]))  # reversed: of a header that is repeated the first counts
            if scope["method"] in _READS and b"no-cache" in asked.get(b"cache-control", b"").lower():
                await self._look_first()
            cached = self._cached(scope)
            if cached is not None:
                exchange.route = cached.route
                await self._serve(cached, asked, exchange, scope, receive, send)
            else:
                await self._answer(exchange, scope, receive, send)
        finally:
            seconds = time.perf_counter() - started
            self._service.metrics.request(scope["method"], exchange.route, exchange.status, seconds)
            if exchange.status >= 400 and scope["path"] not in _UNTRACKED:  # noqa: PLR2004
                seen = {"path": scope["path"], "status": exchange.status, "seconds": round(seconds, 4)}
                log.info("request", method=scope["method"], **seen)

    def _cached(self, scope: Scope) -> CachedBody | None:
        registry = self._service.registry
        if scope["method"] not in _READS or not registry.loaded:
            return None
        return self._bodies.get((scope.get("raw_path") or b"", scope["query_string"]), registry.snapshot)

    async def _serve(
        self,
        cached: CachedBody,
        asked: dict[bytes, bytes],
        exchange: _Exchange,
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        """Answer from the cache. Most requests end here, so it does what it must and nothing more."""
        authenticator = self._service.authenticator
        shows_key = b"authorization" in asked or b"x-api-key" in asked
        if not authenticator.reads_are_open or (shows_key and not authenticator.takes_any_key(scope["path"])):
            try:
                await authenticator.require(Headers(scope=scope), "read")
            except RegistryError as error:
                if reason := REFUSALS.get(type(error)):
                    self._service.metrics.refused(reason)
                await problem_response(error)(scope, receive, self._watched(exchange, scope, send))
                return
        headers = [*cached.headers, *self._state_headers(cached.headers)]
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
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else cached.body})

    async def _answer(self, exchange: _Exchange, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the application answer."""
        watched = self._watched(exchange, scope, send)
        if scope["method"] == "HEAD":
            scope = {**scope, "method": "GET"}  # no route knows HEAD: it is a GET whose body is not sent
        await self._app(scope, receive, watched)
        exchange.route = str(getattr(scope.get("route"), "path", "unknown"))

    def _watched(self, exchange: _Exchange, scope: Scope, send: Send) -> Send:
        """A `send` that notes the status, and adds what every answer carries."""

        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start":
                exchange.status = message["status"]
                message["headers"] = [*message["headers"], *self._state_headers(message["headers"])]
            elif scope["method"] == "HEAD":
                message = {**message, "body": b""}
            await send(message)

        return watched

    async def _look_first(self) -> None:
        """What no-cache asks for. With the database away or hanging the answer is the last snapshot, and says so."""
        try:
            await self._service.registry.refresh_within(LOOK_SECONDS)
        except StorageError as error:
            log.debug("revision check failed", error=error.message)

    def _state_headers(self, given: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        registry = self._service.registry
        if not registry.loaded:
            return []
        headers = []
        if all(name != b"x-registry-revision" for name, _ in given):  # an answer may be about an earlier one
            headers.append((b"x-registry-revision", str(registry.snapshot.revision).encode()))
        stale = registry.stale_seconds()
        if stale is not None:
            headers.append((b"x-registry-stale", str(int(stale)).encode()))
        return headers
