"""Requests to a registry that dispatches, one connection each, so that no client of HTTP repeats anything by itself."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from servers import API_KEY

_LIMIT_SECONDS = 900


@dataclass(frozen=True, slots=True)
class Call:
    """One request, and what came of it."""

    id: str
    began: float
    ended: float
    status: int
    """0 if the connection ended without a response."""
    attempts: int
    service: str
    body: bytes

    @property
    def well(self) -> bool:
        """Whether it was answered as asked for."""
        return self.status == 200  # noqa: PLR2004 (OK)


async def ask(url: str, path: str, call_id: str, content: dict[str, Any]) -> Call:
    """POST once, and wait for the whole response."""
    began = time.monotonic()
    try:
        async with asyncio.timeout(_LIMIT_SECONDS), _sent(url, path, call_id, content) as (reader, _):
            response = await reader.read()
    except (OSError, TimeoutError):
        response = b""
    head, _, body = response.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    status = int(first.split()[1]) if first else 0
    attempts = int(headers.get("x-registry-attempts", 0))
    service = headers.get("x-registry-service", "")
    return Call(call_id, began, time.monotonic(), status, attempts, service, body)


async def leave(url: str, path: str, call_id: str, content: dict[str, Any], after: float) -> float:
    """POST, and close the connection after so many seconds, without waiting. Returns when that was."""
    async with _sent(url, path, call_id, content):
        await asyncio.sleep(after)
        return time.monotonic()


@asynccontextmanager
async def _sent(
    url: str, path: str, call_id: str, content: dict[str, Any]
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    parts = urlsplit(url)
    body = json.dumps(content).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {parts.netloc}\r\nAuthorization: Bearer {API_KEY}\r\nConnection: close\r\n"
        f"X-Call-Id: {call_id}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    try:
        writer.write(head.encode() + body)
        await writer.drain()
        yield reader, writer
    finally:
        writer.close()
