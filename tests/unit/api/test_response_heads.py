"""Heads written from kept lines are, byte by byte, what uvicorn writes."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, cast

import pytest
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from model_registry.api.response_heads import ResponseCycle
from model_registry.api.whole_responses import WholeResponses

Headers = list[tuple[bytes, bytes]]


class Transport:
    """What was written, in one piece."""

    def __init__(self) -> None:
        self.written = b""
        self.closed = False

    def write(self, data: bytes) -> None:
        self.written += data

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def resume_reading(self) -> None: ...


async def respond(  # noqa: PLR0913 (what a response depends on)
    status: int,
    headers: Headers,
    pieces: list[bytes],
    *,
    method: str,
    keep_alive: bool,
    quick: bool,
    whole: bool = False,
) -> tuple[bytes, bool]:
    """What one response looks like on the wire, and whether the connection is closed behind it."""
    transport = Transport()
    wrapped = cast("asyncio.Transport", WholeResponses(cast("asyncio.Transport", transport)))
    cycle = (ResponseCycle if quick else RequestResponseCycle)(
        scope=cast("Any", {"method": method}),
        transport=wrapped,
        flow=FlowControl(wrapped),
        logger=logging.getLogger("test"),
        access_logger=logging.getLogger("test"),
        access_log=False,
        default_headers=[(b"date", b"Mon, 30 Nov 2026 09:00:00 GMT")],
        message_event=asyncio.Event(),
        expect_100_continue=False,
        keep_alive=keep_alive,
        on_response=lambda: None,
    )

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        if whole and isinstance(cycle, ResponseCycle):
            await cycle.respond(status, headers, pieces[0])
            return
        await send({"type": "http.response.start", "status": status, "headers": headers})
        for number, piece in enumerate(pieces, start=1):
            await send({"type": "http.response.body", "body": piece, "more_body": number < len(pieces)})

    await cycle.run_asgi(cast("Any", app))
    await asyncio.sleep(0)  # a head alone leaves within the same turn
    return transport.written, transport.closed


@pytest.mark.parametrize("keep_alive", [True, False])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    ("status", "headers", "pieces"),
    [
        (200, [(b"Content-Length", b"2"), (b"X-A", b"b" * 1000)], [b"ok"]),
        (200, [(b"content-type", b"text/event-stream")], [b"one", b"two", b""]),
        (200, [(b"transfer-encoding", b"Chunked")], [b"one", b""]),
        (200, [(b"content-length", b"2"), (b"connection", b"keep-alive, Close")], [b"ok"]),
        (200, [(b"content-length", b"3")], [b"longer than that"]),
        (200, [(b"content-length", b"3")], [b"no"]),
        (204, [], [b""]),
        (304, [(b"etag", b'"1"')], [b""]),
        (200, [(b"bad name", b"1")], [b""]),
        (200, [(b"x-split", b"1\r\nset-cookie: a=b")], [b""]),
        (503, [(b"content-length", b"0")], [b""]),
    ],
)
async def test_the_same_as_uvicorn(
    *, status: int, headers: Headers, pieces: list[bytes], method: str, keep_alive: bool
) -> None:
    expected = await respond(status, headers, pieces, method=method, keep_alive=keep_alive, quick=False)
    for _ in range(2):  # the second time from lines that were kept
        found = await respond(status, headers, pieces, method=method, keep_alive=keep_alive, quick=True)
        assert found == expected
    if len(pieces) == 1:
        found = await respond(status, headers, pieces, method=method, keep_alive=keep_alive, quick=True, whole=True)
        assert found == expected
