"""Servers that list models, as sources are: what they answer can change while they run, and so can how."""

from __future__ import annotations

import asyncio
import contextlib
import json
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self


@dataclass
class Listing:
    """What is answered to one path."""

    content: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    etag: str | None = None
    hangs: bool = False
    raw: bytes | None = None
    """Sent as it is instead of a response."""


class StubSource:
    """An HTTP server on the test's own event loop. Unknown paths are 404."""

    def __init__(self) -> None:
        self.listings: dict[str, Listing] = {}
        self.asked: list[tuple[str, dict[str, str]]] = []
        """The path and the headers of every request."""
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._stopped = asyncio.Event()
        self.port = 0

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    def lists(self, *names: str, etag: str | None = None) -> None:
        """Answer as an OpenAI-compatible server with these models."""
        data = [{"id": name, "owned_by": "vllm", "max_model_len": 4096} for name in names]
        self.listings["/v1/models"] = Listing({"data": data}, etag=etag)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.close()
        self._stopped.set()
        for writer in list(self._writers):
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while await self._answer(reader, writer):
                pass
        self._writers.discard(writer)
        writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        path = head[0].split(" ")[1]
        headers = dict(line.lower().split(": ", 1) for line in head[1:] if ": " in line)
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        self.asked.append((path, headers))
        model = json.loads(body).get("model") if body else None
        listing = self.listings.get(f"{path} {model}") or self.listings.get(path) or Listing(status=404, content={})
        if listing.hangs:
            await self._stopped.wait()
        if listing.raw is not None:
            writer.write(listing.raw)
            await writer.drain()
            return False
        writer.write(_response(listing, headers))
        await writer.drain()
        return True


def _response(listing: Listing, asked: dict[str, str]) -> bytes:
    content, status = json.dumps(listing.content).encode(), listing.status
    headers = {"Content-Type": "application/json", **listing.headers}
    if listing.etag is not None:
        headers["ETag"] = listing.etag
        if asked.get("if-none-match") == listing.etag:
            content, status = b"", 304
    lines = [f"HTTP/1.1 {status} Stub", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, f"Content-Length: {len(content)}", "", ""]).encode() + content
