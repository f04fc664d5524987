"""The connections of this process: those that are idle, by server. Everything else about them is in `connection.py`."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable

from model_registry.http11.addresses import IPAddress, Origin, refusal_of
from model_registry.http11.connection import Connection
from model_registry.http11.dialling import Dialler
from model_registry.http11.exchange import Exchange


class Connections:
    """One per process and purpose. How many are open at once is the caller's to limit."""

    def __init__(
        self,
        *,
        connect_seconds: float = 5.0,
        idle_seconds: float = 4.0,
        most_idle: int = 64,
        refuses: Callable[[IPAddress], str | None] = refusal_of,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        """`idle_seconds`: less than servers wait before they close (uvicorn: 5 s). `most_idle`: per server."""
        self._idle_seconds = idle_seconds
        self._most_idle = most_idle
        self._connect_seconds = connect_seconds
        self._dialler = Dialler(refuses, ssl_context)
        self._idle: dict[Origin, list[Connection]] = {}
        self._sweep: asyncio.TimerHandle | None = None
        self._closed = False

    async def exchange(self, origin: Origin, *, fresh: bool = False, connect_seconds: float | None = None) -> Exchange:
        """A connection for one request: the one that was used last, or a new one; always a new one if `fresh`.

        Timeout: for a new one `connect_seconds`, here or of all. Errors: NotConnected; nothing was sent then.
        """
        if not fresh and (kept := self.kept(origin)) is not None:
            return kept
        connection = await self._dialler.dial(origin, connect_seconds or self._connect_seconds)
        return Exchange(connection, origin, self._release, reused=False)

    def kept(self, origin: Origin) -> Exchange | None:
        """The connection that was used last, for one request; None where none is idle."""
        connection = self._kept(origin)
        return Exchange(connection, origin, self._release, reused=True) if connection is not None else None

    async def aclose(self) -> None:
        """Close what is idle. What is in use is closed by those who use it."""
        self._closed = True
        self._dialler.close()
        if self._sweep is not None:
            self._sweep.cancel()
        for idle in self._idle.values():
            for connection in idle:
                connection.abort()
        self._idle.clear()

    def _kept(self, origin: Origin) -> Connection | None:
        idle = self._idle.get(origin)
        if not idle:
            return None
        oldest = time.monotonic() - self._idle_seconds
        while idle:
            connection = idle.pop()
            if connection.idle_since > oldest and connection.is_usable():
                return connection
            connection.abort()
        return None

    def _release(self, origin: Origin, connection: Connection) -> None:
        idle = self._idle.setdefault(origin, [])
        if self._closed or connection.closed or len(idle) >= self._most_idle:
            connection.abort()
            return
        idle.append(connection)
        if self._sweep is None:
            self._sweep = asyncio.get_running_loop().call_later(self._idle_seconds, self._close_overdue)

    def _close_overdue(self) -> None:
        oldest = time.monotonic() - self._idle_seconds
        for origin, idle in list(self._idle.items()):
            while idle and (idle[0].idle_since <= oldest or idle[0].closed):
                idle.pop(0).abort()
            if not idle:
                del self._idle[origin]
        self._sweep = None
        if self._idle:
            self._sweep = asyncio.get_running_loop().call_later(self._idle_seconds, self._close_overdue)
