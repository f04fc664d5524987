"""`/api/nodes`: nodes as reported, their settings, and nodes that fall silent, over real NATS and HTTP."""

from __future__ import annotations

import time
from typing import Any

import psycopg
import pytest

from model_registry.fleet.jetstream_setup import ACK_WAIT_SECONDS
from model_registry.messaging.subjects import STATUS
from support.fleet import Fleet, consuming, outcomes
from support.replica import Replica
from support.waiting import until

QUICK = {"MODEL_REGISTRY_HEARTBEAT_SECONDS": 0.2}


def status(node: str, *models: str, used: int = 1000, **more: Any) -> dict[str, Any]:
    metrics = {"gpu_index": 0, "name": "RTX 5090", "total_vram_mb": 32768, "used_vram_mb": used}
    listed = {f"ollama/{model}": {"vram_mb": 6144} for model in models}
    data = {"metrics": metrics | {"free_vram_mb": 32768 - used}, "loaded_models": listed}
    return {"node_id": node, "data": data, "ts": time.time(), **more}


async def node(replica: Replica, name: str) -> dict[str, Any]:
    answer = await replica.client.get(f"/api/nodes/{name}", headers={"Cache-Control": "no-cache"})
    found: dict[str, Any] = answer.json()
    return found


async def test_a_node_is_what_it_says_and_what_is_loaded_on_it(fleet: Fleet, consumer: Replica) -> None:
    await fleet.say(STATUS, status("gpu-1", "qwen3:8b", endpoint="http://gpu-1:11434/v1"))
    await fleet.settled()

    found = await node(consumer, "gpu-1")

    shown = {key: found[key] for key in ("node_id", "status", "cordoned", "labels", "endpoint", "loaded")}
    assert shown == {
        "node_id": "gpu-1",
        "status": "ready",
        "cordoned": False,
        "labels": {},
        "endpoint": "http://gpu-1:11434/v1",
        "loaded": 1,
    }
    assert (found["vram_total_mb"], found["vram_used_mb"], found["vram_free_mb"]) == (32768, 1000, 31768)
    assert (found["vram_allocated_mb"], found["gpus"]) == (
        6144,
        [{"index": 0, "name": "RTX 5090", "vram_total_mb": 32768}],
    )
    assert [d["announced_model"] for d in found["deployments"]] == ["qwen3:8b"]
    assert found == await node(consumer, found["id"])
    listed = (await consumer.client.get("/api/nodes")).json()
    assert ([n["node_id"] for n in listed["items"]], listed["count"], listed["mass_loss"]) == (["gpu-1"], 1, None)
    assert (await consumer.client.get("/api/nodes/gpu-2")).status_code == 404


async def test_a_heartbeat_is_seen_and_is_no_change(fleet: Fleet, consumer: Replica) -> None:
    await fleet.say(STATUS, status("gpu-1", "a"))
    await fleet.settled()
    first = await node(consumer, "gpu-1")
    revision = consumer.state.registry.snapshot.revision

    await fleet.say(STATUS, status("gpu-1", "a", used=2000))
    await fleet.settled()

    async def seen() -> bool:
        now = await node(consumer, "gpu-1")
        return bool(now["vram_free_mb"] == 30768 and now["last_seen_at"] > first["last_seen_at"])

    await until(seen)
    await consumer.state.registry.refresh()
    assert consumer.state.registry.snapshot.revision == revision


async def test_seldom_heartbeats_are_recorded_before_they_are_delivered_again(
    fleet: Fleet, start_replica: Any, nats_url: str
) -> None:
    replica = await start_replica(NATS_URL=nats_url, MODEL_REGISTRY_HEARTBEAT_SECONDS=3600)
    await consuming(replica)
    await fleet.say(STATUS, status("gpu-1", "a"))
    await fleet.settled()
    await fleet.say(STATUS, status("gpu-1", "a"))

    await fleet.settled(ACK_WAIT_SECONDS - 1)

    assert (await outcomes(replica))["heartbeat"] == 1


async def test_what_a_status_message_does_not_list_is_unloaded(fleet: Fleet, consumer: Replica) -> None:
    await fleet.say(STATUS, status("gpu-1", "a", "b"))
    await fleet.load("c", node="gpu-1")
    await fleet.say(STATUS, status("gpu-1", "b", "c"))
    await fleet.settled()

    found = await node(consumer, "gpu-1")

    loaded = {d["announced_model"]: d["status"] for d in found["deployments"]}
    assert loaded == {"a": "unloaded", "b": "loaded", "c": "loaded"}


async def test_an_entry_that_cannot_be_understood_unloads_nothing(fleet: Fleet, consumer: Replica) -> None:
    await fleet.say(STATUS, status("gpu-1", "a", "b"))
    odd = status("gpu-1", "a")
    odd["data"]["loaded_models"]["ollama/b"] = {"state": "melting"}
    await fleet.say(STATUS, odd)
    await fleet.settled()

    found = await node(consumer, "gpu-1")

    assert {d["announced_model"]: d["status"] for d in found["deployments"]} == {"a": "loaded", "b": "loaded"}


async def test_an_administrator_sets_endpoint_labels_and_cordon_and_takes_them_back(
    fleet: Fleet, consumer: Replica
) -> None:
    await fleet.say(STATUS, status("gpu-1", "a", endpoint="http://announced"))
    await fleet.settled()
    client = consumer.client
    before = await client.get("/api/nodes/gpu-1")
    settings = {"endpoint": "http://set", "labels": {"zone": "cellar"}, "cordoned": True}

    changed = await client.put("/api/nodes/gpu-1", json=settings, headers={"If-Match": before.headers["etag"]})

    assert changed.status_code == 200
    assert {key: changed.json()[key] for key in settings} == settings
    stale = await client.put("/api/nodes/gpu-1", json={}, headers={"If-Match": before.headers["etag"]})
    assert stale.status_code == 412
    # What it announces next does not change what was set.
    await fleet.say(STATUS, status("gpu-1", "a", endpoint="http://other"))
    await fleet.settled()
    assert (await node(consumer, "gpu-1"))["endpoint"] == "http://set"
    assert (await client.put("/api/nodes/gpu-1", json={})).json()["endpoint"] == "http://other"


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("status=ready", ["a", "b"]),
        ("status=lost", []),
        ("label=zone=cellar", ["a"]),
        ("label=zone=cellar&label=rack", []),
        ("limit=1&offset=1", ["b"]),
    ],
)
async def test_nodes_are_filtered(database: psycopg.Connection, replica: Replica, query: str, names: list[str]) -> None:
    database.execute(
        """insert into gpu_nodes (node_id, labels) values ('a', '{"zone": "cellar"}'), ('b', '{"rack": "1"}')"""
    )

    answer = await replica.client.get(f"/api/nodes?{query}", headers={"Cache-Control": "no-cache"})

    assert [item["node_id"] for item in answer.json()["items"]] == names


@pytest.mark.parametrize("body", [{"labels": {"a": 1}}, {"labels": []}, {"endpoint": "a\0b"}, {"cordoned": "maybe"}])
async def test_settings_that_cannot_be_are_refused(
    database: psycopg.Connection, replica: Replica, body: dict[str, Any]
) -> None:
    database.execute("insert into gpu_nodes (node_id) values ('a')")
    await replica.state.registry.refresh()

    assert (await replica.client.put("/api/nodes/a", json=body)).status_code == 422
    assert (await replica.client.get("/api/nodes?status=asleep")).status_code == 422
    assert (await replica.anonymous().put("/api/nodes/a", json={})).status_code == 401


async def test_a_node_that_is_forgotten_is_gone_with_its_deployments_until_it_speaks(
    fleet: Fleet, consumer: Replica
) -> None:
    await fleet.say(STATUS, status("gpu-1", "a", "b"))
    await fleet.settled()

    assert (await consumer.client.delete("/api/nodes/gpu-1")).status_code == 204
    assert (await consumer.client.get("/api/nodes")).json()["count"] == 0
    assert (await consumer.client.get("/api/deployments")).json()["count"] == 0

    await fleet.say(STATUS, status("gpu-1", "a", "b"))
    await fleet.settled()
    assert (await node(consumer, "gpu-1"))["loaded"] == 2


async def test_a_silent_node_is_lost_and_back_when_it_speaks(fleet: Fleet, nats_url: str, start_replica: Any) -> None:
    replicas: list[Replica] = [await start_replica(NATS_URL=nats_url, **QUICK) for _ in range(2)]
    await consuming(*replicas)

    async def beat_until(wanted: dict[str, str]) -> None:
        """The one node says how it is; the other has stopped. Every replica comes to the same."""

        async def look() -> bool:
            await fleet.say(STATUS, status("alive", "a"))
            found = [{name: (await node(r, name)).get("status") for name in wanted} for r in replicas]
            return all(statuses == wanted for statuses in found)

        await until(look)

    await fleet.say(STATUS, status("silent", "a", "b"))
    await beat_until({"alive": "ready", "silent": "ready"})
    await beat_until({"alive": "ready", "silent": "lost"})
    assert {d["status"] for d in (await node(replicas[1], "silent"))["deployments"]} == {"lost"}
    metrics = (await replicas[0].client.get("/metrics")).text
    assert 'model_registry_nodes{status="lost"} 1.0' in metrics
    assert "model_registry_events_pending" in metrics

    await fleet.say(STATUS, status("silent", "b"))
    await beat_until({"alive": "ready", "silent": "ready"})
    found = await node(replicas[1], "silent")
    assert {d["announced_model"]: d["status"] for d in found["deployments"]} == {"a": "unloaded", "b": "loaded"}


async def test_while_nats_is_away_no_node_is_lost(nats_server: Any, start_replica: Any) -> None:
    from support.fleet import fleet_on  # noqa: PLC0415 (only here on a server of its own)

    replica: Replica = await start_replica(NATS_URL=nats_server.url, **QUICK)
    await consuming(replica)
    async with fleet_on(nats_server.url) as nodes:
        await nodes.say(STATUS, status("gpu-1", "a"))
        await nodes.settled()
    silence = replica.state.liveness
    assert silence is not None
    nats_server.kill()
    began = time.monotonic()

    async def long_enough() -> bool:
        return time.monotonic() - began > 1.5 and not silence.positions

    await until(long_enough)
    assert (await node(replica, "gpu-1"))["status"] == "ready"
    nats_server.start()

    async def lost_at_last() -> bool:
        return bool((await node(replica, "gpu-1"))["status"] == "lost")

    await until(lost_at_last)
