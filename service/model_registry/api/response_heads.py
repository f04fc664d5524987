"""The head of a response as bytes, from lines that were checked once: most responses carry the same headers.

uvicorn checks every header of every response with two regular expressions, and joins it from four pieces: 20 us for ten
headers, of the 70 that a read from the cache takes. From kept lines it is 6 us.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send
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


def with_quick_heads(app: ASGIApp, cycle: RequestResponseCycle) -> ASGIApp:
    """Return the application, with a `send` that writes the heads of its responses; all else is left to uvicorn."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        uvicorns: Any = send

        async def quick(message: Message) -> None:
            if cycle.response_started or message["type"] != "http.response.start" or cycle.access_log:
                await uvicorns(message)
                return
            if cycle.flow.write_paused and not cycle.disconnected:
                await cycle.flow.drain()
            if not cycle.disconnected:
                _begin(cycle, message["status"], message.get("headers", ()))

        await app(scope, receive, quick)

    return answer


def _begin(cycle: RequestResponseCycle, status: int, headers: Iterable[tuple[bytes, bytes]]) -> None:
    """Write the head, and note what uvicorn has to know for the body. Errors: RuntimeError for what is no header."""
    cycle.response_started = True
    cycle.waiting_for_100_continue = False
    lines, closes = [STATUS_LINE[status]], False
    for name, value in (*cycle.default_headers, *headers):
        line, read = _line(name, value) if len(value) <= _LONGEST_KEPT else _checked_line(name, value)
        lines.append(line)
        if not read:
            continue
        if read == _CONNECTION:
            closes = closes or b"close" in [token.strip() for token in value.lower().split(b",")]
        elif read == _LENGTH:
            if cycle.chunked_encoding is None:
                cycle.expected_content_length, cycle.chunked_encoding = int(value), False
        elif value.lower() == b"chunked":
            cycle.expected_content_length, cycle.chunked_encoding = 0, True
    if closes:
        cycle.keep_alive = False
    elif not cycle.keep_alive:
        lines.append(b"connection: close\r\n")
    if cycle.chunked_encoding is None and cycle.scope["method"] != "HEAD" and status not in _BODILESS:
        cycle.chunked_encoding = True
        lines.append(b"transfer-encoding: chunked\r\n")
    lines.append(b"\r\n")
    cycle.transport.write(b"".join(lines))


def _checked_line(name: bytes, value: bytes) -> tuple[bytes, bytes]:
    """A header as it is sent, and its name if it says how the response ends. Errors: RuntimeError."""
    if HEADER_RE.search(name) or HEADER_VALUE_RE.search(value):
        raise RuntimeError(f"the response has an invalid header {name!r}")
    name = name.lower()
    return name + b": " + value + b"\r\n", name if name in _READ else b""


_line = lru_cache(maxsize=4096)(_checked_line)
