"""Where events come from: what a stream says of a message, and what a queue keeps of what comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from model_registry.fleet.event_sources import BATCH, Delivery, QueueSource, delivered
from model_registry.messaging.connection import cancel

OLD = "$JS.ACK.MESH_GPU.model-registry.2.815.99.1772000000123456789.7"
NEW = "$JS.ACK.hub.ACCOUNTHASH.MESH_GPU.model-registry.2.815.99.1772000000123456789.7.random"
PLAIN_NEW = "$JS.ACK._.ACCOUNTHASH.MESH_GPU.model-registry.2.815.99.1772000000123456789.7"


@pytest.mark.parametrize("reply", [OLD, NEW, PLAIN_NEW], ids=["to 2.8", "with a domain", "without a domain"])
def test_it_says_what_nats_py_reads(reply: str) -> None:
    message = Msg(_client=Client(), reply=reply)

    assert delivered(message) == Delivery(message, message.metadata.timestamp, message.metadata.num_delivered)
    assert delivered(message) == Delivery(message, datetime(2026, 2, 25, 6, 13, 20, 123457, UTC), 2)


@pytest.mark.parametrize("reply", ["", "_INBOX.abc", "$JS.API.CONSUMER.MSG.NEXT.a.b", "$JS.ACK.short"])
def test_other_subjects_are_no_acknowledgement(reply: str) -> None:
    assert delivered(Msg(_client=Client(), reply=reply)) is None


class Speaker:
    """A NATS client whose server sends messages to every subscription."""

    def __init__(self) -> None:
        self.said = 0
        self._speaking: asyncio.Task[None] | None = None

    async def subscribe(self, _subject: str, *, cb: Callable[[Msg], Awaitable[None]], **_options: object) -> None:
        self._speaking = asyncio.create_task(self._speak(cb))

    async def _speak(self, hear: Callable[[Msg], Awaitable[None]]) -> None:
        while True:
            await hear(Msg(_client=Client()))
            self.said += 1

    async def stop(self) -> None:
        await cancel(self._speaking)


async def test_what_comes_back_from_a_database_that_is_away_does_not_pile_up() -> None:
    speaker = Speaker()
    source = QueueSource(speaker, ["s"], "q", most=500)  # type: ignore[arg-type]
    await source.open()

    for _ in range(20):  # two loops have a batch each in hand
        hands = [await source.batch(1), await source.batch(1)]
        for hand in hands:
            await source.again(hand)
        await asyncio.sleep(0)

    assert speaker.said <= 500 + 2 * BATCH
    await speaker.stop()
