"""How requests get to a PostgREST beside us: over connections that stay open, one write each, read by a parser in C.

httpx's own transport is made for the whole internet and takes some 2 ms of computing a request; a write of ours is one
request. Plain HTTP/1.1 to one server: TLS, proxies and compression are left to httpx's.
"""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any, cast
from urllib.request import getproxies, proxy_bypass

import httptools
import httpx
import pydantic_core

from model_registry.loopback import is_loopback

_IDLE_SECONDS = 5.0
"""A connection that nobody used for longer is not used again: servers close those, and one may be about to."""

_CLOSED = "the server has closed the connection"


def reachable(url: httpx.URL) -> bool:
    """Whether this transport is enough to get there."""
    proxied = {"http", "all"} & getproxies().keys() and not proxy_bypass(url.host)
    return url.scheme == "http" and (is_loopback(str(url)) or not proxied)


class Http11Transport(httpx.AsyncBaseTransport):
    """At most so many connections to one server; who finds all of them busy waits.

    Timeouts are the request's own: `connect`, and `read` for all of it. Errors: those of httpx's transport. A
    request is sent once: one whose connection breaks may have done its work.
    """

    def __init__(self, url: httpx.URL, limit: int) -> None:
        self._address = (url.host, url.port or 80)
        self._free: list[_Connection] = []
        self._turns = asyncio.Semaphore(limit)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send it, and return once the whole answer is there."""
        content = await request.aread()
        lines = [b"%b %b HTTP/1.1" % (request.method.encode(), request.url.raw_path)]
        lines += [b"%b: %b" % header for header in request.headers.raw]
        seconds = request.extensions.get("timeout", {})
        try:
            async with asyncio.timeout(seconds.get("read")), self._turns:
                connection = await self._connection(seconds.get("connect"))
                try:
                    response = await connection.ask(b"\r\n".join([*lines, b"", content]))
                except BaseException:
                    connection.close()  # what comes now is no answer to the next request
                    raise
        except TimeoutError as error:
            raise httpx.ReadTimeout("no whole answer in time") from error
        if connection.reusable:
            self._free.append(connection)
        return response

    async def aclose(self) -> None:
        """Close the connections."""
        while self._free:
            self._free.pop().close()

    async def _connection(self, seconds: float | None) -> _Connection:
        while self._free:
            connection = self._free.pop()
            if connection.reusable and time.monotonic() - connection.used_at < _IDLE_SECONDS:
                return connection
            connection.close()
        try:
            async with asyncio.timeout(seconds):
                _, made = await asyncio.get_running_loop().create_connection(_Connection, *self._address)
        except TimeoutError as error:
            raise httpx.ConnectTimeout("no connection in time") from error
        except OSError as error:
            raise httpx.ConnectError(str(error)) from error
        return made


class _Answer(httpx.Response):
    """An answer whose JSON is read by a parser in Rust, in two thirds of the time, to the same values."""

    def json(self, **_options: object) -> Any:  # noqa: ANN401 (as httpx has it)
        """Errors: ValueError, when it is none."""
        try:
            return pydantic_core.from_json(self.content)
        except ValueError:  # also of what is nested deeper than it goes
            return json.loads(self.content)


class _Connection(asyncio.Protocol):
    """One connection, one request at a time. httptools calls the methods named `on_`."""

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._answer: asyncio.Future[httpx.Response] | None = None
        self._headers: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []
        self.reusable = True
        self.used_at = 0.0

    async def ask(self, request: bytes) -> httpx.Response:
        """Errors: httpx.RemoteProtocolError, httpx.ReadError."""
        if self._transport.is_closing():
            raise httpx.ReadError(_CLOSED)
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer

    def close(self) -> None:
        """Close it, and expect nothing more."""
        self.reusable, self._answer = False, None
        self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(httpx.ReadError(str(exc or _CLOSED)))

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(httpx.RemoteProtocolError(str(error)))

    def on_message_begin(self) -> None:
        self._headers, self._body = [], []

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name, value))

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        self.reusable = self.reusable and self._parser.should_keep_alive()
        self.used_at = time.monotonic()
        if self._answer is not None and not self._answer.done():
            stream = httpx.ByteStream(b"".join(self._body))
            self._answer.set_result(_Answer(self._parser.get_status_code(), headers=self._headers, stream=stream))

    def _fail(self, error: Exception) -> None:
        self.reusable = False
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)
