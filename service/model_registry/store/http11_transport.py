"""Send requests to one PostgREST over kept-alive connections: one write to the socket each, parsed in C.

httpx2's own transport serves the whole internet and takes about 1 ms more of computing per request; a write of the
registry is one request. Plain HTTP/1.1 to one server only: TLS, proxies and compression stay with httpx2's transport.
"""

from __future__ import annotations

import asyncio
import time
from typing import cast
from urllib.request import getproxies, proxy_bypass

import httptools
import httpx2

from model_registry.loopback import is_loopback

_IDLE_SECONDS = 5.0
"""A connection idle for longer is not reused: the server may be about to close it."""

_CLOSED = "the server has closed the connection"


def reachable(url: httpx2.URL) -> bool:
    """Whether the URL needs neither TLS nor a proxy."""
    proxied = {"http", "all"} & getproxies().keys() and not proxy_bypass(url.host)
    return url.scheme == "http" and (is_loopback(str(url)) or not proxied)


class Http11Transport(httpx2.AsyncBaseTransport):
    """At most `limit` connections to one server; further requests wait for a free one.

    Timeouts come with the request: `connect`, and `read` for the whole exchange. Errors: those of httpx2's transport. A
    request is sent once: it may have been executed although its connection broke.
    """

    def __init__(self, url: httpx2.URL, limit: int) -> None:
        self._address = (url.host, url.port or 80)
        self._free: list[_Connection] = []
        self._turns = asyncio.Semaphore(limit)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send the request and read the whole response."""
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
                    connection.close()  # a late response must not answer the next request
                    raise
        except TimeoutError as error:
            raise httpx2.ReadTimeout("no whole answer in time") from error
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
            raise httpx2.ConnectTimeout("no connection in time") from error
        except OSError as error:
            raise httpx2.ConnectError(str(error)) from error
        return made


class _Connection(asyncio.Protocol):
    """One connection, one request at a time. httptools calls the methods named `on_`."""

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._answer: asyncio.Future[httpx2.Response] | None = None
        self._headers: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []
        self.reusable = True
        self.used_at = 0.0

    async def ask(self, request: bytes) -> httpx2.Response:
        """Errors: httpx2.RemoteProtocolError, httpx2.ReadError."""
        if self._transport.is_closing():
            raise httpx2.ReadError(_CLOSED)
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
        self._fail(httpx2.ReadError(str(exc or _CLOSED)))

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(httpx2.RemoteProtocolError(str(error)))

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
            stream = httpx2.ByteStream(b"".join(self._body))
            self._answer.set_result(
                httpx2.Response(self._parser.get_status_code(), headers=self._headers, stream=stream)
            )

    def _fail(self, error: Exception) -> None:
        self.reusable = False
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)
