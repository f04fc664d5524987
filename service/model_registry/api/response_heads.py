"""The head of a response as bytes, from lines that were checked once: most responses carry the same headers.

uvicorn checks every header of every response with two regular expressions, and joins it from four pieces: 20 us for ten
headers, of the 70 that a read from the cache takes. From kept lines it is 6 us.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from uvicorn.protocols.http.httptools_impl import (
    HEADER_RE,
    HEADER_VALUE_RE,
    STATUS_LINE,
    RequestResponseCycle,
)

_LONGEST_KEPT = 256
"""Bytes of a value whose line is kept: an upstream chooses some of them."""
_LENGTH, _ENCODING, _CONNECTION = b"content-length", b"transfer-encoding", b"connection"
_READ = frozenset({_LENGTH, _ENCODING, _CONNECTION})
"""Headers that say how the response ends."""
_BODILESS = frozenset({204, 304})
_JOINED = 64 * 2**10
"""Bytes that are copied sooner than handed to the socket separately."""


class ResponseCycle(RequestResponseCycle):
    """A request and its response as uvicorn has them; all but heads, and responses in one piece, is left to it."""

    async def send(self, message: Any) -> None:  # noqa: ANN401 (ASGI's)
        """Send a part of the response. Errors: RuntimeError for what is no header."""
        if self.response_started or message["type"] != "http.response.start" or self.access_log:
            await super().send(message)
            return
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if not self.disconnected:
            self.transport.write(self._head(message["status"], message.get("headers", ())))

    async def respond(self, status: int, headers: Iterable[tuple[bytes, bytes]], body: bytes) -> None:
        """Send a whole response: at once, where it says its length. Errors: RuntimeError, as `send`."""
        if self.response_started or self.access_log or self.flow.write_paused or self.disconnected:
            await self.send({"type": "http.response.start", "status": status, "headers": headers})
        else:
            head = self._head(status, headers)
            if self.expected_content_length == len(body) < _JOINED and body and self.scope["method"] != "HEAD":
                self.expected_content_length = 0
                self.transport.write_whole(head + body)  # type: ignore[attr-defined] # of WholeResponses
                self.response_complete = True
                self.message_event.set()
                if not self.keep_alive:
                    self.transport.close()
                self.on_response()
                return
            self.transport.write(head)
        await self.send({"type": "http.response.body", "body": body})

    def take_body(self) -> bytes | None:
        """The body of the request, if all of it has come already and none was received."""
        if self.more_body or self.disconnected or self.response_complete or not self.message_event.is_set():
            return None
        body, self.body = bytes(self.body), bytearray()
        self.message_event.clear()
        return body

    def _head(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
        """The head as bytes; notes what uvicorn has to know for the body. Errors: RuntimeError."""
        self.response_started = True
        self.waiting_for_100_continue = False
        lines, closes = [STATUS_LINE[status]], False
        for name, value in (*self.default_headers, *headers):
            line, read = _line(name, value) if len(value) <= _LONGEST_KEPT else _checked_line(name, value)
            lines.append(line)
            if not read:
                continue
            if read == _CONNECTION:
                closes = closes or b"close" in [token.strip() for token in value.lower().split(b",")]
            elif read == _LENGTH:
                if self.chunked_encoding is None:
                    self.expected_content_length, self.chunked_encoding = int(value), False
            elif value.lower() == b"chunked":
                self.expected_content_length, self.chunked_encoding = 0, True
        if closes:
            self.keep_alive = False
        elif not self.keep_alive:
            lines.append(b"connection: close\r\n")
        if self.chunked_encoding is None and self.scope["method"] != "HEAD" and status not in _BODILESS:
            self.chunked_encoding = True
            lines.append(b"transfer-encoding: chunked\r\n")
        lines.append(b"\r\n")
        return b"".join(lines)


def _checked_line(name: bytes, value: bytes) -> tuple[bytes, bytes]:
    """A header as it is sent, and its name if it says how the response ends. Errors: RuntimeError."""
    if HEADER_RE.search(name) or HEADER_VALUE_RE.search(value):
        raise RuntimeError(f"the response has an invalid header {name!r}")
    name = name.lower()
    return name + b": " + value + b"\r\n", name if name in _READ else b""


_line = lru_cache(maxsize=4096)(_checked_line)
