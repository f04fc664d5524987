"""A server on loopback that says byte by byte what a test wants: half a response, nothing, far too much."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from ssl import SSLContext

from model_registry.http11.addresses import Origin

Handler = Callable[["Conversation"], Awaitable[None]]


class Conversation:
    """One connection as the server sees it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def head(self) -> bytes:
        """Read up to the end of a request's head."""
        return await self.reader.readuntil(b"\r\n\r\n")

    async def exactly(self, size: int) -> bytes:
        return await self.reader.readexactly(size)

    async def say(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    def reset(self) -> None:
        """Close so that the other side gets RST."""
        self.writer.transport.abort()

    async def gone(self) -> bool:
        """Wait until the other side has closed; whether it said nothing before."""
        try:
            return await self.reader.read() == b""
        except ConnectionError:
            return True


class ScriptedServer:
    """Each connection is handled by the handler; a failure in it is the test's."""

    def __init__(self, host: str, *, tls: bool) -> None:
        self.handler: Handler
        self._host, self._scheme = host, "https" if tls else "http"
        self.connections: list[Conversation] = []
        self.ended = 0
        self.failures: list[BaseException] = []
        self.port = 0

    @property
    def origin(self) -> Origin:
        return Origin(self._scheme, self._host, self.port)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        conversation = Conversation(reader, writer)
        self.connections.append(conversation)
        try:
            await self.handler(conversation)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client left
        except BaseException as error:
            self.failures.append(error)
            raise
        finally:
            self.ended += 1
            writer.close()


@asynccontextmanager
async def scripted_server(host: str = "127.0.0.1", tls: SSLContext | None = None) -> AsyncIterator[ScriptedServer]:
    """Listen on a free port; the test sets the handler. Fails at the end if a handler did."""
    server = ScriptedServer(tls=tls is not None, host=host)
    listening = await asyncio.start_server(server.serve, host, 0, ssl=tls)
    server.port = listening.sockets[0].getsockname()[1]
    yield server
    for conversation in server.connections:
        conversation.reset()
    listening.close()
    await listening.wait_closed()
    assert server.failures == []
