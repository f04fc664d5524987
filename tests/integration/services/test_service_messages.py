"""Model services that register over NATS: in order, through outages, and with rejections that say why."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import nats
import orjson
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from model_registry.messaging.subjects import (
    SERVICE_REGISTERED,
    SERVICE_REJECTED,
    SERVICE_STATUS,
    SERVICE_UNREGISTERED,
)
from support.replica import Replica
from support.waiting import until

BODY = {
    "service_id": "lstm-1",
    "service_url": "http://10.1.2.3:8001",
    "model_type": "LSTM",
    "capabilities": ["prediction"],
    "health": {"check": "none"},
}
Say = Callable[[str, Any], Awaitable[None]]


@pytest.fixture
async def publisher(nats_url: str) -> AsyncIterator[Client]:
    client = await nats.connect(nats_url)
    yield client
    await client.close()


@pytest.fixture
def say(publisher: Client) -> Say:
    async def publish(subject: str, payload: Any) -> None:
        await publisher.publish(subject, payload if isinstance(payload, bytes) else orjson.dumps(payload))
        await publisher.flush()

    return publish


@pytest.fixture
async def rejections(publisher: Client) -> asyncio.Queue[Msg]:
    arrived: asyncio.Queue[Msg] = asyncio.Queue()
    await publisher.subscribe(SERVICE_REJECTED, cb=arrived.put)
    return arrived


@pytest.fixture
async def listening(start_replica: Any, nats_url: str) -> Replica:
    replica: Replica = await start_replica(NATS_URL=nats_url)
    await consuming(replica)
    return replica


async def consuming(replica: Replica) -> None:
    async def look() -> bool:
        return replica.state.service_messages is not None and replica.state.service_messages.health()[0] == "ok"

    await until(look)


async def instances(replica: Replica, *names: str) -> dict[str, dict[str, Any]]:
    async def look() -> dict[str, dict[str, Any]] | None:
        found = {i["service_id"]: i for i in (await replica.client.get("/services")).json()["items"]}
        return {"": {}} | found if set(found) == set(names) else None

    found = await until(look)
    assert found is not None
    return found


async def test_registered_changed_and_unregistered(listening: Replica, say: Say) -> None:
    await say(SERVICE_REGISTERED, {**BODY, "unknown": 1, "ts": 1})
    found = (await instances(listening, "lstm-1"))["lstm-1"]
    assert (found["registered_over"], found["ttl_seconds"], found["model_type"]) == ("nats", 60, "LSTM")

    await say(SERVICE_REGISTERED, {**BODY, "weight": 3, "ttl_seconds": None})

    async def changed() -> bool:
        now = (await listening.client.get("/services/lstm-1")).json()
        return bool((now["weight"], now["ttl_seconds"]) == (3, None))

    await until(changed)
    await say(SERVICE_UNREGISTERED, {"service_id": "lstm-1"})
    await instances(listening)


async def test_to_deregister_who_is_gone_is_no_error(
    listening: Replica, say: Say, rejections: asyncio.Queue[Msg]
) -> None:
    assert await instances(listening)
    await say(SERVICE_UNREGISTERED, {"service_id": "gone"})
    await say(SERVICE_UNREGISTERED, {"service_id": ""})

    refused = orjson.loads((await asyncio.wait_for(rejections.get(), 20)).data)
    assert "is not the name of an instance" in refused["reason"], "the first of them all"


async def test_a_status_renews_and_brings_back_who_repeats_everything(listening: Replica, say: Say) -> None:
    await say(SERVICE_STATUS, {**BODY, "status": "healthy"})
    await instances(listening, "lstm-1")
    before = listening.state.registry.snapshot.revision

    await say(SERVICE_STATUS, {"service_id": "lstm-1", "status": "healthy"})

    async def renewed() -> bool:
        return 'service_messages_total{outcome="renewed"} 1.0' in (await listening.client.get("/metrics")).text

    await until(renewed)
    assert listening.state.registry.snapshot.revision == before


async def test_what_was_published_while_no_replica_ran_is_done_in_order(
    start_replica: Any, nats_url: str, say: Say, listening: Replica
) -> None:
    await listening.state.service_messages.close()  # type: ignore[union-attr]
    for number in range(3):
        await say(SERVICE_REGISTERED, {**BODY, "service_id": f"a-{number}"})
    await say(SERVICE_UNREGISTERED, {"service_id": "a-1"})

    await start_replica(NATS_URL=nats_url)

    await instances(listening, "a-0", "a-2")


async def test_while_the_database_is_away_messages_wait(listening: Replica, say: Say, stack: Any) -> None:
    stack.postgrest.kill()
    try:
        await say(SERVICE_REGISTERED, BODY)
        await say(SERVICE_REGISTERED, {**BODY, "service_id": "lstm-2"})
        await say(SERVICE_UNREGISTERED, {"service_id": "lstm-2"})
    finally:
        stack.postgrest.start()

    await instances(listening, "lstm-1")  # and not lstm-2: what has to come again does not come after later messages


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ((SERVICE_REGISTERED, b"{"), "not JSON"),
        ((SERVICE_REGISTERED, []), "not a JSON object"),
        ((SERVICE_REGISTERED, {"service_id": 3}), "service_id"),
        ((SERVICE_REGISTERED, {**BODY, "capabilities": []}), "capabilities"),
        ((SERVICE_REGISTERED, {**BODY, "service_url": "http://169.254.169.254/"}), "metadata"),
        ((SERVICE_REGISTERED, {**BODY, "service_url": "http://a:secret@b"}), "credentials"),
        ((SERVICE_STATUS, {"service_id": "nobody"}), "No instance 'nobody' is registered"),
    ],
)
async def test_what_cannot_be_is_rejected_with_the_reason(
    listening: Replica, rejections: asyncio.Queue[Msg], say: Say, message: tuple[str, Any], reason: str
) -> None:
    subject, payload = message

    await say(subject, payload)

    async with asyncio.timeout(30):
        rejection = orjson.loads((await rejections.get()).data)
    assert (rejection["subject"], reason in rejection["reason"]) == (subject, True), rejection
    assert "secret" not in rejection["reason"] + rejection["payload"]

    async def kept() -> bool:
        items = (await listening.client.get("/api/events/rejected")).json()["items"]
        return any(reason in item["reason"] and item["subject"] == subject for item in items)

    await until(kept)
    await say(SERVICE_REGISTERED, BODY)
    await instances(listening, "lstm-1")


async def test_over_nats_nobody_takes_over_what_others_registered(listening: Replica, say: Say) -> None:
    await listening.client.post("/services/register", json={**BODY, "service_id": "http"})

    await say(SERVICE_REGISTERED, {**BODY, "service_id": "http", "service_url": "http://10.6.6.6"})
    await say(SERVICE_UNREGISTERED, {"service_id": "http"})
    await say(SERVICE_REGISTERED, BODY)

    found = await instances(listening, "http", "lstm-1")
    assert found["http"]["service_url"] == BODY["service_url"]
    refused = await listening.client.get("/api/events/rejected")
    assert sum("was registered with the API key" in item["reason"] for item in refused.json()["items"]) == 2
