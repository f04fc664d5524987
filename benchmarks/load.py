"""The load generator: sends HTTP requests over keep-alive connections, as many as the server can answer.

Python, so that it installs wherever the project does; uvloop and httptools, so that it is not the bottleneck. Each run
reports how much of a core the generator used: near 1.0, the figure would be the generator's and not the server's. Its
counts were compared with those of `wrk`. The measurements choose the requests and the server.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import cast

import httptools
import uvloop

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Load:
    """The result of one run."""

    per_second: float
    """Responses per second."""
    p50_ms: float
    p99_ms: float
    own_cpu: float
    """Cores used by the generator itself: it is single-threaded, so 1.0 is its limit."""


class WrongAnswer(Exception):
    """A server returned an unexpected response, so the run is invalid."""


def request(method: str, target: str, headers: Mapping[str, str], body: bytes = b"") -> bytes:
    """One HTTP/1.1 request as bytes."""
    lines = [f"{method} {target} HTTP/1.1", "Host: localhost", *(f"{name}: {value}" for name, value in headers.items())]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def run(port: int, requests: Iterator[bytes], *, connections: int, seconds: float, status: int) -> Load:
    """Send requests for a number of seconds; each connection sends the next one after the response to the last.

    Requests in flight at the end are awaited but not counted. Errors: WrongAnswer for any other status than `status`.
    """
    return uvloop.run(_run(port, requests, connections=connections, seconds=seconds, status=status))


async def _run(port: int, requests: Iterator[bytes], *, connections: int, seconds: float, status: int) -> Load:
    loop = asyncio.get_running_loop()
    cpu, began = time.process_time(), time.perf_counter()
    state = _Run(requests, status, began + seconds, loop.create_future(), connections)
    for _ in range(connections):
        await loop.create_connection(lambda: _Connection(state), LOOPBACK, port)
    await asyncio.wait_for(state.finished, seconds + 30)
    wall = time.perf_counter() - began
    ordered = sorted(state.latencies)
    return Load(
        per_second=len(ordered) / max(seconds, state.last_at - began),
        p50_ms=ordered[len(ordered) // 2] * 1000,
        p99_ms=ordered[len(ordered) * 99 // 100] * 1000,
        own_cpu=(time.process_time() - cpu) / wall,
    )


@dataclass(slots=True)
class _Run:
    """The shared state of a run's connections."""

    requests: Iterator[bytes]
    status: int
    deadline: float
    finished: asyncio.Future[None]
    open: int
    latencies: list[float] = field(default_factory=list)
    last_at: float = 0.0

    def closed(self) -> None:
        """Note that a connection has finished."""
        self.open -= 1
        if not self.open and not self.finished.done():
            self.finished.set_result(None)

    def fail(self, message: str) -> None:
        """Abort the run with an error."""
        if not self.finished.done():
            self.finished.set_exception(WrongAnswer(message))


class _Connection(asyncio.Protocol):
    """One connection. httptools calls `on_message_complete`."""

    def __init__(self, run: _Run) -> None:
        self._run = run
        self._sent_at = 0.0
        self._last = b""
        self._done = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._parser = httptools.HttpResponseParser(self)
        self._send()

    def data_received(self, data: bytes) -> None:
        self._last = data
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        """Count a complete response and send the next request."""
        now = time.perf_counter()
        if self._parser.get_status_code() != self._run.status:
            self._run.fail(f"not a {self._run.status}: {self._last[:500]!r}")
        elif now < self._run.deadline or not self._run.latencies:  # at least one response, however long it takes
            self._run.latencies.append(now - self._sent_at)
            self._run.last_at = now
            self._send()
            return
        self._done = True
        self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._done:
            self._run.fail(f"the server closed a connection: {exc}")
        self._run.closed()

    def _send(self) -> None:
        self._sent_at = time.perf_counter()
        self._transport.write(next(self._run.requests))
