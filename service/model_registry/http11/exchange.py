"""One request and its response over one connection. Both may be under way at once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from types import TracebackType
from typing import Self

from model_registry.http11.addresses import Origin
from model_registry.http11.connection import Connection
from model_registry.http11.errors import InvalidRequest
from model_registry.http11.request_head import request_head
from model_registry.http11.response_parser import ResponseHead, ResponseParser


class Exchange:
    """An async context manager. Left before the response is complete, it closes the connection at once.

    First `send_head`, then `send` any number of times, then `end`; `response` and `read` (or `body`) beside it or
    afterwards. No time limits: who waits too long cancels. Errors of `response`, `read` and `body`: ConnectionBroken.
    """

    __slots__ = ("_connection", "_head", "_left", "_origin", "_parser", "_release", "_whole", "reused", "sent")

    def __init__(
        self, connection: Connection, origin: Origin, release: Callable[[Origin, Connection], None], *, reused: bool
    ) -> None:
        self._connection = connection
        self._origin = origin
        self._release = release
        self._parser = ResponseParser()
        self._head = b""
        """What is still to be sent of it: it goes together with the beginning of the body."""
        self._left: int | None = 0
        """Bytes of the body that are still to be sent; None when it is sent in chunks."""
        self._whole = False
        self.reused = reused
        """Whether the connection has carried other requests: the server may close it just now."""
        self.sent = False
        """Whether any byte of the request was handed to the socket. If not, nothing can have been executed."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def complete(self) -> bool:
        """Whether the whole response has come and was taken."""
        return self._parser.complete and not self._parser.parts

    @property
    def came(self) -> bool:
        """Whether the whole response has come, taken or not."""
        return self._parser.complete

    def abort(self) -> None:
        """Close the connection at once: who waits here gets ConnectionBroken."""
        self._connection.abort()

    def close(self) -> None:
        """Leave: give the connection back, or close it at once where the response is not complete. Only once."""
        connection, parser = self._connection, self._parser
        parser.close()
        if parser.complete and parser.keeps_alive and self._whole:
            connection.rest()
            self._release(self._origin, connection)
        else:
            connection.abort()

    async def send_head(self, method: bytes, target: bytes, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """Begin the request. The headers say how long the body is: Content-Length, or Transfer-Encoding: chunked.

        `Host` is added unless it is among them. Errors: InvalidRequest, before anything is sent.
        """
        self._head, self._left = request_head(self._origin, method, target, headers)
        self._parser.body_follows = method != b"HEAD"

    def send_whole(self, method: bytes, target: bytes, headers: Iterable[tuple[bytes, bytes]], body: bytes) -> None:
        """Send a whole request in one piece, instead of `send_head`, `send` and `end`; then await `room`.

        The headers say how long the body is. Errors: InvalidRequest, before anything is sent.
        """
        head, length = request_head(self._origin, method, target, headers)
        if length != len(body):
            raise InvalidRequest(f"the body has {len(body)} bytes, and its Content-Length says {length}")
        self._parser.body_follows = method != b"HEAD"
        self._connection.begin(self._parser)
        self._whole = True
        self.sent = self._connection.write([head, body] if body else [head])

    async def room(self) -> None:
        """Wait until the server has read enough of what was sent, or will read no more."""
        if (room := self._connection.room) is not None:
            await room

    async def send(self, data: bytes) -> bool:
        """Send a piece of the body; wait while the server does not read.

        False: the server takes no more, because it has answered or closed. Stop then, and read the response, which
        says what happened. Errors: InvalidRequest when it is more than Content-Length.
        """
        if self._left is not None:
            self._left -= len(data)
            if self._left < 0:
                self._connection.abort()
                raise InvalidRequest(f"the body is longer than its Content-Length, by {-self._left} bytes")
        if not data:
            return True
        taken = self._write([data] if self._left is not None else [b"%x\r\n" % len(data), data, b"\r\n"])
        await self.room()
        return taken and not self._connection.closed and not self._parser.complete

    async def end(self) -> None:
        """The request is whole. Errors: InvalidRequest when the body is shorter than Content-Length."""
        if self._left:
            self._connection.abort()
            raise InvalidRequest(f"the body is shorter than its Content-Length, by {self._left} bytes")
        self._write([] if self._left is not None else [b"0\r\n\r\n"])
        self._whole = True

    async def response(self) -> ResponseHead:
        """The head of the response; interim ones (1xx) are left out."""
        self._write([])
        while (head := self._parser.head) is None:
            await self._connection.more()
        return head

    async def read(self) -> bytes:
        """What has come of the response's body, at least a byte; empty at its end."""
        parser = self._parser
        while not parser.parts:
            if parser.complete:
                return b""
            await self._connection.more()
        data = parser.take()
        self._connection.resume()
        return data

    def whole(self) -> bytes | None:
        """What is left of the body, if all of it has come."""
        return self._parser.take() if self._parser.complete else None

    async def body(self) -> AsyncIterator[bytes]:
        """The body as it comes. While nobody takes it, the server is not read from."""
        while data := await self.read():
            yield data

    def _write(self, pieces: list[bytes]) -> bool:
        if self._head:
            pieces, self._head = [self._head, *pieces], b""
            self._connection.begin(self._parser)
        if not pieces:
            return True
        written = self._connection.write(pieces)
        self.sent = self.sent or written
        return written
