"""Whatever is published, the service stays healthy, records valid messages, and rejects the others with reasons."""

from __future__ import annotations

from typing import Any

import orjson
import psycopg

from model_registry.messaging.subjects import LOADED, STATUS, UNLOADED
from support.fleet import Fleet, consuming, outcomes
from support.replica import Replica

NAMED: dict[str, Any] = {"node_id": "gpu-a", "provider_type": "ollama", "model_id": "m"}
DEEP = b"[" * 900 + b"]" * 900


async def rejected(replica: Replica, **query: Any) -> dict[str, Any]:
    answer = await replica.client.get("/api/events/rejected", params=query)
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


async def test_hostile_messages_are_rejected_with_a_reason_and_the_rest_goes_on(
    fleet: Fleet, consumer: Replica
) -> None:
    listed: dict[str, Any] = {"loaded_models": {"a/b": {}}}
    hostile: list[tuple[str, Any]] = [
        (LOADED, b"\0" * 1000),
        (LOADED, b"x" * 900_000),
        (LOADED, b'{"model_key": "a/b", "ts": ' + DEEP + b"}"),
        (STATUS, b'{"data": {"loaded_models": {"a/b": ' + DEEP + b"}}}"),
        (LOADED, {**NAMED, "model_id": "a\0b"}),
        (LOADED, {**NAMED, "node_id": "a\nb"}),
        (LOADED, {**NAMED, "node_id": 7}),
        (LOADED, {**NAMED, "error_message": "a\0b"}),
        (UNLOADED, {**NAMED, "vram_mb": -1}),
        (STATUS, {"node_id": "a\0b", "data": listed}),
        (STATUS, {"node_id": ["a"], "data": listed}),
        (STATUS, {"data": {**listed, "metrics": {"total_vram_mb": "much"}}}),
        (STATUS, {"endpoint": {"a": 1}, "data": listed}),
        (STATUS, {"data": {"loaded_models": {f"a/{i}": {} for i in range(1001)}}}),
    ]
    for subject, payload in hostile:
        await fleet.say(subject, payload)
    await fleet.say(LOADED, {**NAMED, "model_name": "a\0b", "session_id": "\u001b[2J"})
    info = await fleet.settled()

    page = await rejected(consumer)

    assert page["count"] == len(hostile)
    assert info.num_redelivered == 0
    (large,) = (item for item in page["items"] if "1001 models" in item["reason"])
    assert (large["subject"], large["reason"]) == (STATUS, "data.loaded_models lists 1001 models; 1000 are the most.")
    assert len(large["payload"]) <= 2048
    assert all(item["reason"] and "\0" not in item["payload"] for item in page["items"])
    (row,) = (await consumer.client.get("/api/deployments", params={"node_id": "gpu-a"})).json()["items"]
    assert (row["announced_model"], row["metadata"]) == ("m", {})
    assert (await consumer.client.get("/readyz")).json()["dependencies"]["nats"]["status"] == "ok"


async def test_thousands_of_models_of_one_node_are_bounded_and_others_are_kept(
    fleet: Fleet, nats_url: str, start_replica: Any, database: psycopg.Connection
) -> None:
    replica: Replica = await start_replica(NATS_URL=nats_url, MODEL_REGISTRY_NODE_DEPLOYMENTS=50)
    await consuming(replica)
    for i in range(2000):
        await fleet.load(f"m{i}", node="flood")
    await fleet.load("good", node="other")
    await fleet.settled()

    held: dict[str, int] = dict(
        database.execute("select node_id, count(*) from model_deployments group by 1").fetchall()
    )
    assert held == {"flood": 50, "other": 1}
    assert await outcomes(replica) == {"recorded": 51, "rejected": 1950, "ignored": fleet.checks}
    page = await rejected(replica, limit=1)
    assert page["count"] == 1000
    assert "The node 'flood' has announced 50 models" in page["items"][0]["reason"]
    told = orjson.loads(page["items"][0]["payload"])["model_id"]
    assert told.startswith("m")
    # Events of known deployments are still recorded, and the same limit applies over HTTP.
    (known,) = (await replica.client.get("/api/deployments", params={"node_id": "flood", "limit": 1})).json()["items"]
    await fleet.load(known["announced_model"], node="flood", status="unloaded")
    await fleet.settled()
    path = f"/api/deployments/flood/ollama/{known['announced_model']}"
    assert (await replica.client.get(path, headers={"Cache-Control": "no-cache"})).json()["status"] == "unloaded"
    body = {"node_id": "flood", "provider_type": "ollama", "model_id": "one more"}
    refused = await replica.client.post("/api/deployments", json=body)
    assert (refused.status_code, refused.json()["code"]) == (409, "E4093")


async def test_a_message_with_an_entry_too_many_is_kept_but_for_that(
    fleet: Fleet, nats_url: str, start_replica: Any, database: psycopg.Connection
) -> None:
    replica: Replica = await start_replica(NATS_URL=nats_url, MODEL_REGISTRY_NODE_DEPLOYMENTS=3)
    await consuming(replica)

    await fleet.say(STATUS, {"node_id": "n", "data": {"loaded_models": {f"a/{i}": {} for i in range(5)}}})
    await fleet.settled()

    assert database.execute("select count(*) from model_deployments").fetchone() == (3,)
    (rejection,) = (await rejected(replica))["items"]
    assert "the most that are kept of one node" in rejection["reason"]
    assert "And 1 more." in rejection["reason"]
