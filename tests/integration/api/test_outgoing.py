"""Large responses that nobody reads, over real sockets."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

from model_registry.api.http_protocol import Arrivals
from model_registry.api.outgoing import Outgoing
from support.raw_http import ask, listening
from support.waiting import until

MIB = 2**20


def application(outgoing: Outgoing, shared: bytes | None = None) -> Any:
    """Answers 16 MiB: to each caller another one, or to all the same."""

    async def answer(_scope: Any, _receive: Any, send: Any) -> None:
        body = bytes(16 * MIB) if shared is None else shared
        headers = [(b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await outgoing.send(send, {"type": "http.response.body", "body": body})

    return answer


async def unread(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection that asks, and reads no further than its buffer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
    writer.write(b"GET / HTTP/1.1\r\nHost: r\r\n\r\n")
    return reader, writer


async def holds(outgoing: Outgoing, least: int, most: int) -> None:
    """Wait until this many bytes are buffered."""

    async def look() -> bool:
        return least <= outgoing.held <= most

    await until(look)


async def whole(reader: asyncio.StreamReader) -> int:
    size = 0
    with suppress(ConnectionError):
        while piece := await reader.read(MIB):
            size += len(piece)
    return size


async def test_who_does_not_read_gives_way_and_who_reads_gets_everything() -> None:
    outgoing = Outgoing(size=40 * MIB, unread_seconds=0)
    async with listening(application(outgoing), Arrivals(50)) as port:
        connections = []
        for number in range(1, 7):
            connections.append(await unread(port))
            await holds(outgoing, min(number, 2) * 16 * MIB, 40 * MIB)
        answer = await ask(port, b"GET / HTTP/1.1\r\nHost: r\r\n\r\n")
        assert len(answer.body) == 16 * MIB
        assert await whole(connections[0][0]) < 16 * MIB
        for _, writer in connections:
            writer.close()
        await holds(outgoing, 0, 0)


async def test_an_answer_that_many_get_is_held_once_and_nobody_gives_way() -> None:
    outgoing = Outgoing(size=20 * MIB, unread_seconds=0)
    async with listening(application(outgoing, bytes(16 * MIB)), Arrivals(50)) as port:
        connections = [await unread(port) for _ in range(6)]
        await holds(outgoing, 16 * MIB, 16 * MIB)
        for reader, writer in connections:
            await reader.readuntil(b"\r\n\r\n")
            assert len(await asyncio.wait_for(reader.readexactly(16 * MIB), 20)) == 16 * MIB
            writer.close()
        await holds(outgoing, 0, 0)


async def test_those_who_still_read_are_not_cut_off() -> None:
    outgoing = Outgoing(size=20 * MIB, unread_seconds=60)
    async with listening(application(outgoing), Arrivals(50)) as port:
        answers = await asyncio.gather(*(ask(port, b"GET / HTTP/1.1\r\nHost: r\r\n\r\n") for _ in range(4)))
    assert {len(answer.body) for answer in answers} == {16 * MIB}
