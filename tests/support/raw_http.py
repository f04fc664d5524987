"""HTTP as bytes: for requests that no client would send, and responses that precede the end of the request."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import uvicorn

from model_registry.api.http_protocol import Arrivals, guarded_protocol


@dataclass
class Answer:
    """A server's output: the first response, and whether it closed the connection."""

    status: int
    headers: dict[str, str]
    body: bytes

    def problem(self, status: int, code: str) -> dict[str, Any]:
        """The problem document, which must be this one."""
        assert (self.status, self.headers.get("content-type")) == (status, "application/problem+json"), self
        document: dict[str, Any] = json.loads(self.body)
        assert document["code"] == code
        return document


async def read_answer(reader: asyncio.StreamReader) -> Answer:
    """The next response. Errors: IncompleteReadError if the server closes the connection without one."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    first, *lines = head.strip().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    return Answer(int(first.split()[1]), headers, await reader.readexactly(int(headers.get("content-length", 0))))


async def ask(port: int, *pieces: bytes) -> Answer:
    """Send these pieces over a new connection, and read the response, even if the server stops reading early."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        sending = asyncio.create_task(_send(writer, pieces))
        answer = await asyncio.wait_for(read_answer(reader), 20)
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        return answer
    finally:
        writer.close()


async def _send(writer: asyncio.StreamWriter, pieces: tuple[bytes, ...]) -> None:
    for piece in pieces:
        writer.write(piece)
        await writer.drain()


@asynccontextmanager
async def listening(app: Any, arrivals: Arrivals, **options: Any) -> AsyncIterator[int]:
    """Serve an application like `model-registry serve`, with these limits and options of uvicorn; yields the port."""
    http = guarded_protocol(arrivals, getattr(app, "dispatch", None))
    config = uvicorn.Config(
        app, port=0, http=http, ws="none", lifespan="off", log_config=None, access_log=False, **options
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server._serve())  # noqa: SLF001 (`serve` would take the signals from pytest)
    while not server.started:  # noqa: ASYNC110 (uvicorn has no event for it)
        await asyncio.sleep(0.01)
    try:
        yield int(server.servers[0].sockets[0].getsockname()[1])
    finally:
        server.should_exit = server.force_exit = True
        await serving
