"""Send requests to one PostgREST over kept-alive connections of our own: `http11`, as a transport of httpx2.

httpx2's own transport serves the whole internet and takes about 1 ms more of computing per request; a write of the
registry is one request. Plain HTTP/1.1 to one server only: TLS, proxies and compression stay with httpx2's transport.
"""

from __future__ import annotations

import asyncio
from urllib.request import getproxies, proxy_bypass

import httpx2

from model_registry.http11.addresses import Origin
from model_registry.http11.connections import Connections
from model_registry.http11.errors import BadResponse, ConnectionBroken, NotConnected
from model_registry.http11.exchange import Exchange
from model_registry.loopback import is_loopback


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
        self._origin = Origin("http", url.host, url.port or 80)
        # The operator's own address: none is refused.
        self._connections = Connections(most_idle=limit, refuses=lambda _address: None)
        self._turns = asyncio.Semaphore(limit)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send the request and read the whole response."""
        content = await request.aread()
        seconds = request.extensions.get("timeout", {})
        try:
            async with (
                asyncio.timeout(seconds.get("read")),
                self._turns,
                await self._exchange(seconds.get("connect")) as exchange,
            ):
                return await _ask(exchange, request, content)
        except TimeoutError as error:
            raise httpx2.ReadTimeout("no whole answer in time") from error
        except BadResponse as error:
            raise httpx2.RemoteProtocolError(str(error)) from error
        except ConnectionBroken as error:
            raise httpx2.ReadError(str(error)) from error

    async def aclose(self) -> None:
        """Close the connections."""
        await self._connections.aclose()

    async def _exchange(self, seconds: float | None) -> Exchange:
        try:
            return await self._connections.exchange(self._origin, connect_seconds=seconds)
        except NotConnected as error:
            raise httpx2.ConnectError(str(error)) from error


async def _ask(exchange: Exchange, request: httpx2.Request, content: bytes) -> httpx2.Response:
    await exchange.send_head(request.method.encode(), request.url.raw_path, request.headers.raw)
    await exchange.send(content)
    await exchange.end()
    head = await exchange.response()
    body = []
    while piece := await exchange.read():
        body.append(piece)
    return httpx2.Response(head.status, headers=head.headers, stream=httpx2.ByteStream(b"".join(body)))
