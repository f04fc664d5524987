"""HTTP/1.1 for stub services: bodies as they arrive, responses piece by piece, and notice when the caller leaves."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httptools

_PIECES_AHEAD = 64


class Request:
    """One request: its head, and its body as it arrives."""

    def __init__(self, method: str, target: str, headers: list[tuple[str, str]], transport: asyncio.Transport) -> None:
        self.method = method
        self.path, _, self.query = target.partition("?")
        self.headers = headers
        self._pieces: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._transport = transport

    def header(self, name: str) -> str | None:
        """The value of a header."""
        return next((value for header, value in self.headers if header == name), None)

    def feed(self, piece: bytes | None) -> None:
        """Add a piece of the body, None at its end. Reading stops while many wait."""
        self._pieces.put_nowait(piece)
        if self._pieces.qsize() > _PIECES_AHEAD:
            self._transport.pause_reading()

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body, piece by piece."""
        while (piece := await self._pieces.get()) is not None:
            if self._pieces.empty():
                self._transport.resume_reading()
            yield piece

    async def body(self) -> bytes:
        """The whole body."""
        return b"".join([piece async for piece in self.pieces()])


class Responder:
    """Writes one response."""

    def __init__(self, transport: asyncio.Transport, drained: asyncio.Event) -> None:
        self._transport = transport
        self._drained = drained

    def send(self, status: int, content: Any, headers: dict[str, str] | None = None) -> None:
        """A whole response: JSON, or bytes as they are."""
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.head(status, {"content-type": "application/json", "content-length": str(len(body)), **(headers or {})})
        self._transport.write(body)

    def head(self, status: int, headers: dict[str, str]) -> None:
        """The beginning of a response."""
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self._transport.write(f"HTTP/1.1 {status} -\r\n{lines}\r\n".encode())

    async def write(self, data: bytes) -> None:
        """A piece of a body whose length the head has announced."""
        self._transport.write(data)
        await self._drained.wait()

    async def chunk(self, data: bytes) -> None:
        """A piece of a body in chunks; empty at its end."""
        await self.write(b"%x\r\n%b\r\n" % (len(data), data))

    def cut(self) -> None:
        """End the connection without another word."""
        self._transport.abort()


Handle = Callable[[Request, Responder], Awaitable[None]]
"""Answers one request. Cancelled when the caller leaves."""


class StubProtocol(asyncio.Protocol):
    """One connection, kept alive; requests in pipelines are not supported."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle
        self._parser = httptools.HttpRequestParser(self)
        self._drained = asyncio.Event()
        self._drained.set()
        self._task: asyncio.Task[None] | None = None
        self._target = b""
        self._headers: list[tuple[str, str]] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._transport.abort()

    def connection_lost(self, _error: Exception | None) -> None:
        self._drained.set()
        if self._task is not None:
            self._task.cancel()

    def pause_writing(self) -> None:
        self._drained.clear()

    def resume_writing(self) -> None:
        self._drained.set()

    def on_message_begin(self) -> None:
        self._target, self._headers = b"", []

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.decode("latin-1").lower(), value.decode("latin-1")))

    def on_headers_complete(self) -> None:
        method, target = self._parser.get_method().decode(), self._target.decode()
        self._request = Request(method, target, self._headers, self._transport)
        self._task = asyncio.ensure_future(self._answer(self._request))

    def on_body(self, body: bytes) -> None:
        self._request.feed(body)

    def on_message_complete(self) -> None:
        self._request.feed(None)

    async def _answer(self, request: Request) -> None:
        await self._handle(request, Responder(self._transport, self._drained))
        self._task = None
