"""Bodies that are refused before they have arrived, on the event loop that the service uses."""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import Any

from uvicorn.loops.auto import auto_loop_factory

from model_registry.api.http_protocol import Arrivals
from support.raw_http import listening

PIECE = 2**18
"""Bytes that the loop reads at once."""
BODY = 100 * PIECE


async def _refuse(_scope: Any, _receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 401, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


def _send_all(port: int, answered: threading.Event) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: r\r\nContent-Length: %d\r\n\r\n" % BODY)
        assert connection.recv(1000).startswith(b"HTTP/1.1 401")
        connection.sendall(b"a" * BODY)
        answered.set()


async def _pieces_of_each_turn() -> list[int]:
    """Bytes of a refused body discarded in each iteration of the loop that discarded any."""
    arrivals, answered, turns, before = Arrivals(most_connections=8), threading.Event(), [0], 0
    async with listening(_refuse, arrivals) as port:
        sender = threading.Thread(target=_send_all, args=(port, answered), daemon=True)
        sender.start()
        while sender.is_alive() and not answered.is_set():
            await asyncio.sleep(0)
            thrown_away = sum(connection._discarded for connection in arrivals.open)  # noqa: SLF001 (what it counts)
            turns += [thrown_away - before] if thrown_away > before else []
            before = thrown_away
    assert answered.is_set()
    return turns


def test_a_refused_body_is_thrown_away_piece_by_piece_between_the_requests_of_others() -> None:
    with asyncio.Runner(loop_factory=auto_loop_factory()) as runner:
        turns = runner.run(_pieces_of_each_turn())
    assert sum(turns) > BODY // 2
    assert max(turns) <= PIECE
