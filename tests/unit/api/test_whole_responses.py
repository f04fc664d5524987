"""The head of a response leaves with its body, and never later than the turn of the loop in which it was written."""

from __future__ import annotations

import asyncio
from typing import cast

from model_registry.api.whole_responses import WholeResponses

HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n"


class Transport:
    """What it was given, in order."""

    def __init__(self) -> None:
        self.written: list[bytes | str] = []

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def writelines(self, pieces: tuple[bytes, ...]) -> None:
        self.written.extend(pieces)

    def close(self) -> None:
        self.written.append("closed")

    def is_closing(self) -> bool:
        return "closed" in self.written


def around(transport: Transport) -> WholeResponses:
    return WholeResponses(cast("asyncio.Transport", transport))


async def test_head_and_body_are_one_piece() -> None:
    transport = Transport()
    whole = around(transport)
    whole.write(HEAD)
    assert transport.written == []
    whole.write(b"ok")
    whole.write(b"more")
    await asyncio.sleep(0)
    assert transport.written == [HEAD + b"ok", b"more"]


async def test_a_head_alone_leaves_within_the_turn() -> None:
    transport = Transport()
    around(transport).write(HEAD)
    await asyncio.sleep(0)
    assert transport.written == [HEAD]


async def test_a_large_body_is_not_copied() -> None:
    transport, body = Transport(), bytes(2**20)
    whole = around(transport)
    whole.write(HEAD)
    whole.write(body)
    assert transport.written == [HEAD, body]
    assert transport.written[1] is body


async def test_a_head_leaves_before_the_connection_is_closed_and_never_after() -> None:
    transport = Transport()
    whole = around(transport)
    whole.write(HEAD)
    whole.close()
    await asyncio.sleep(0)
    assert transport.written == [HEAD, "closed"]
    assert whole.is_closing()
