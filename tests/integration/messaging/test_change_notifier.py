"""What the agent receives from NATS: announcements, and whether it is able to receive any."""

from __future__ import annotations

import asyncio

import nats
import orjson

from model_registry.messaging.change_notifier import ChangeNotifier
from model_registry.messaging.login import NatsLogin
from model_registry.messaging.subjects import UPDATED
from support.nats_server import NatsServer
from support.replica import QUICK
from support.waiting import LONGEST, until


async def announce(url: str, payload: bytes) -> None:
    client = await nats.connect(url)
    await client.publish(UPDATED, payload)
    await client.close()


async def hearing(heard: ChangeNotifier, *, now: bool) -> None:
    """Wait until it becomes able or unable to receive; the agent polls after either."""

    async def look() -> bool:
        return heard.hears is now

    await until(look)
    assert await asyncio.to_thread(heard.wait, LONGEST)


async def test_an_agent_hears_again_after_the_server_was_away_and_after_it_was_sent_away(
    nats_server: NatsServer,
) -> None:
    nats_server.kill()
    nats_server.token = "let_me_in"  # noqa: S105 (made up)
    heard = ChangeNotifier(NatsLogin(url=nats_server.url), pace=QUICK)
    assert not heard.hears

    nats_server.start()
    await hearing(heard, now=True)
    await announce(nats_server.url, orjson.dumps({"revision": 7}))
    assert await asyncio.to_thread(heard.wait, LONGEST)
    assert heard.revision == 7
    await announce(nats_server.url, b"from somebody else")
    assert await asyncio.to_thread(heard.wait, LONGEST)
    assert heard.revision == 7

    nats_server.kill()
    await hearing(heard, now=False)
    nats_server.start()
    await hearing(heard, now=True)

    nats_server.token = "no_longer"  # noqa: S105 (made up)
    nats_server.reload()
    await hearing(heard, now=False)
    nats_server.token = "let_me_in"  # noqa: S105 (made up)
    nats_server.reload()
    await hearing(heard, now=True)
    await announce(nats_server.url, orjson.dumps({"revision": 9}))
    assert await asyncio.to_thread(heard.wait, LONGEST)
    assert heard.revision == 9
