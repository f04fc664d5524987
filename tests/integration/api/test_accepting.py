"""How soon a new caller is accepted behind many others, on the event loop that the service uses."""

from __future__ import annotations

import asyncio
import socket
from contextlib import ExitStack

from uvicorn.loops.auto import auto_loop_factory

from model_registry.cli.serve import quick_to_accept

CALLERS = 160
TURNS = 20


class TakenIn(asyncio.Protocol):
    """Keeps the connections, so that they can be closed."""

    def __init__(self, connections: list[asyncio.BaseTransport], open_ones: set[TakenIn]) -> None:
        self._connections = connections
        self._open = open_ones

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._connections.append(transport)
        self._open.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 (asyncio's)
        self._open.discard(self)


async def _turns_until_all_are_taken_in(listener: socket.socket) -> int:
    """Iterations of the event loop, each of which serves every busy connection once."""
    loop = asyncio.get_running_loop()
    connections: list[asyncio.BaseTransport] = []
    still_open: set[TakenIn] = set()
    servers = [
        await loop.create_server(lambda: TakenIn(connections, still_open), sock=each, backlog=CALLERS)
        for each in quick_to_accept(listener)
    ]
    turns = 0
    while len(connections) < CALLERS and turns < 10 * CALLERS:
        turns += 1
        await asyncio.sleep(0)
    for connection in connections:
        connection.close()
    for server in servers:
        server.close()
    while still_open:  # noqa: ASYNC110 (a turn or two)
        await asyncio.sleep(0)
    return turns


def test_a_caller_behind_many_others_is_not_one_turn_of_the_loop_behind_each() -> None:
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(CALLERS)
        for _ in range(CALLERS):
            stack.enter_context(socket.create_connection(listener.getsockname()))
        with asyncio.Runner(loop_factory=auto_loop_factory()) as runner:
            assert runner.run(_turns_until_all_are_taken_in(listener)) <= TURNS
