"""One socket to a server: bytes in and out, one response at a time, back-pressure both ways. Knows no requests."""

from __future__ import annotations

import asyncio
import select
import time
from collections.abc import Sequence
from typing import cast

from model_registry.http11.errors import BadResponse, ConnectionBroken
from model_registry.http11.response_parser import ResponseParser

MOST_BUFFERED = 256 * 2**10
"""Bytes of a body that wait to be taken before no more are read. Readers that keep up are never waited for."""

_JOINED = 64 * 2**10
"""Bytes that are copied sooner than handed to the socket piece by piece."""
_CLOSED = "the server closed the connection before the request was sent"


class Connection(asyncio.Protocol):
    """A connected socket, with TLS or without. asyncio calls most of the methods."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._response: ResponseParser | None = None
        self._error: ConnectionBroken | None = None
        self._more: asyncio.Future[None] | None = None
        """Of who waits for more of the response."""
        self._room: asyncio.Future[None] | None = None
        """Of who waits for room to write; there is one exactly while there is none."""
        self._paused = False
        self._readable = select.poll()
        self.closed = False
        self.idle_since = 0.0
        """Of the monotonic clock, in seconds."""

    def begin(self, response: ResponseParser) -> None:
        """From now on, what comes belongs to this response."""
        self._response = response
        if self.closed:
            self._error = ConnectionBroken(_CLOSED, began=False)

    def rest(self) -> None:
        """The response is complete and nothing more is expected."""
        self._response = None
        self.resume()
        self.idle_since = time.monotonic()

    def is_usable(self) -> bool:
        """Whether the server has neither closed nor sent anything since the last response, as far as can be known.

        The socket is asked too: what has arrived there may not have been read yet.
        """
        return not (self.closed or self._transport.is_closing() or self._readable.poll(0))

    def write(self, pieces: Sequence[bytes]) -> bool:
        """Send in one piece; False when the connection is closed."""
        if self.closed or self._transport.is_closing():
            return False
        if len(pieces) == 1:
            self._transport.write(pieces[0])
        elif sum(map(len, pieces)) < _JOINED:
            self._transport.write(b"".join(pieces))
        else:
            self._transport.writelines(pieces)
        return True

    @property
    def room(self) -> asyncio.Future[None] | None:
        """What to await until the server has read enough of what was sent, or will read no more. None: nothing."""
        return self._room and asyncio.shield(self._room)  # who waits may be cancelled, and others wait too

    async def more(self) -> None:
        """Return when more of the response has come, or it has ended. Errors: ConnectionBroken."""
        if self._error is not None:
            raise self._error
        self._more = self._loop.create_future()
        await self._more

    def resume(self) -> None:
        """Read on: what had come was taken."""
        if self._paused:
            self._paused = False
            if not self.closed:
                self._transport.resume_reading()

    def abort(self) -> None:
        """Close at once. The server sees that the caller has left."""
        self._close(ConnectionBroken("the request was given up", began=False))
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport, and ask its socket when somebody asks us."""
        self._transport = cast("asyncio.Transport", transport)
        self._readable.register(transport.get_extra_info("socket").fileno(), select.POLLIN)

    def data_received(self, data: bytes) -> None:
        """Read the response on. Stop reading while too much of it is not taken."""
        response = self._response
        if response is None:
            self.abort()  # it says something unasked, which must not answer the next request
            return
        try:
            response.feed(data)
        except BadResponse as error:
            self._close(error)
            self._transport.abort()
            return
        if response.buffered > MOST_BUFFERED and not response.complete and not self._paused:
            self._paused = True
            self._transport.pause_reading()
        if response.complete:
            self.resume_writing()  # whatever has not been sent, the server has answered without it
        self._wake()

    def eof_received(self) -> None:
        """The server has closed its side; asyncio closes ours."""
        self._end(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is closed, by the server or by us."""
        self._end(exc)

    def pause_writing(self) -> None:
        """The server does not read."""
        if not self.closed:
            self._room = self._loop.create_future()

    def resume_writing(self) -> None:
        """The server reads again, or nobody needs to wait for that any more."""
        room, self._room = self._room, None
        if room is not None and not room.done():
            room.set_result(None)

    def _end(self, exc: Exception | None) -> None:
        """The server has closed; that may be the end of the response."""
        error: ConnectionBroken | None = None
        response = self._response
        if response is not None and not response.complete:
            if exc is not None:
                error = ConnectionBroken(f"the connection broke: {exc}", began=response.began)
            else:
                try:
                    response.end()
                except ConnectionBroken as broken:
                    error = broken
        self._close(error)

    def _close(self, error: ConnectionBroken | None) -> None:
        if not self.closed:
            self.closed, self._error = True, error
        self.resume_writing()
        self._wake()

    def _wake(self) -> None:
        if self._more is not None and not self._more.done():
            self._more.set_result(None)
