"""The size of the fleet is limited: further nodes are rejected visibly, and many can be deleted at once."""

from __future__ import annotations

import time
from typing import Any

import psycopg
import pytest

from model_registry.messaging.subjects import STATUS
from support.catalogue import problem
from support.fleet import Fleet, consuming, outcomes
from support.replica import Replica

MOST = {"MODEL_REGISTRY_MOST_NODES": 3}


def report(node: str, model: str = "m") -> dict[str, Any]:
    return {"node_id": node, "provider_type": "ollama", "model_id": model}


def status(node: str, *models: str) -> dict[str, Any]:
    listed: dict[str, Any] = {f"ollama/{model}": {} for model in models}
    return {"node_id": node, "data": {"loaded_models": listed}, "ts": time.time()}


def nodes(database: psycopg.Connection) -> list[str]:
    rows = database.execute("select node_id from gpu_nodes order by 1").fetchall()
    return [row[0] for row in rows]


async def test_nodes_beyond_the_limit_are_rejected_and_known_nodes_are_recorded(
    fleet: Fleet, nats_url: str, start_replica: Any, database: psycopg.Connection
) -> None:
    replica: Replica = await start_replica(NATS_URL=nats_url, **MOST)
    await consuming(replica)
    for name in ("a", "b", "c"):
        await fleet.load("m", node=name)
    await fleet.settled()
    for number in range(20):
        await fleet.load("m", node=f"flood {number}")
        await fleet.say(STATUS, status(f"flood {number}", "m", "n"))
    await fleet.load("another", node="b")
    await fleet.say(STATUS, status("c", "m", "n"))
    await fleet.settled()

    assert nodes(database) == ["a", "b", "c"]
    assert database.execute("select distinct node_id from model_deployments order by 1").fetchall() == [
        ("a",),
        ("b",),
        ("c",),
    ]
    counted = await outcomes(replica)
    assert (counted["rejected"], counted["recorded"]) == (40, 5)
    page = (await replica.client.get("/api/events/rejected")).json()
    assert page["count"] == 40
    assert "MODEL_REGISTRY_MOST_NODES" in page["items"][0]["reason"]
    assert len(fleet.rejected) == 40


async def test_of_one_batch_as_many_are_kept_as_there_is_room_for(
    fleet: Fleet, nats_url: str, start_replica: Any, database: psycopg.Connection
) -> None:
    for number in range(10):  # before anybody listens: they come together
        await fleet.load("m", node=f"n{number}")
    await fleet.client.flush()
    replica: Replica = await start_replica(NATS_URL=nats_url, **MOST)
    await consuming(replica)
    for number in range(10):
        await fleet.say(STATUS, status(f"n{number}", "m"))
        await fleet.say(STATUS, status(f"n{number}", "m"))  # a heartbeat, were the node known
    await fleet.settled()

    assert len(nodes(database)) == 3
    counted = database.execute("select count(*) from model_deployments").fetchone()
    assert counted == (3,)


async def test_a_report_of_one_node_too_many_is_refused_over_http(start_replica: Any) -> None:
    replica: Replica = await start_replica(**MOST)
    for name in ("a", "b", "c"):
        assert (await replica.client.post("/api/deployments", json=report(name))).status_code == 201

    told = problem(await replica.client.post("/api/deployments", json=report("d")), 409, "E4094")

    assert "'d' is one more" in told["detail"]
    assert "status=lost" in told["detail"]
    assert (await replica.client.post("/api/deployments", json=report("a", "n"))).status_code == 201
    assert (await replica.client.delete("/api/nodes/b")).status_code == 204
    assert (await replica.client.post("/api/deployments", json=report("d"))).status_code == 201


async def test_many_nodes_are_forgotten_at_once_and_the_change_log_shows_it(
    replica: Replica, database: psycopg.Connection
) -> None:
    for number in range(30):
        await replica.client.post("/api/deployments", json=report(f"n{number:02}"))
        await replica.client.post("/api/deployments", json=report(f"n{number:02}", "other"))
    database.execute("update gpu_nodes set status = 'lost', lost_at = now() where node_id < 'n20'")
    database.execute("""update gpu_nodes set labels = '{"zone": "cellar"}' where node_id >= 'n25'""")
    before = database.execute("select max(revision) from registry_changes").fetchone()

    answer = await replica.client.request("DELETE", "/api/nodes", params={"status": "lost"})

    assert (answer.status_code, answer.json()) == (200, {"nodes": 20, "deployments": 40})
    assert nodes(database) == [f"n{number}" for number in range(20, 30)]
    listed = (await replica.client.get("/api/nodes")).json()
    assert [one["node_id"] for one in listed["items"]] == nodes(database)
    told = database.execute(
        "select count(*), count(distinct transaction_id), min(operation), min(actor) from registry_changes "
        "where revision > %s",
        before,
    ).fetchone()
    assert told == (60, 1, "delete", "environment key")

    both = {"status": "ready", "label": "zone=cellar"}
    answer = await replica.client.request("DELETE", "/api/nodes", params=both)
    assert answer.json() == {"nodes": 5, "deployments": 10}
    answer = await replica.client.request("DELETE", "/api/nodes", params=both)
    assert (answer.status_code, answer.json()) == (200, {"nodes": 0, "deployments": 0})


@pytest.mark.parametrize(
    "query", ["", "?status=", "?label=", "?status=all", "?limit=5", "?state=lost", "?status=LOST", "?label=&status="]
)
async def test_no_filter_forgets_nothing(replica: Replica, database: psycopg.Connection, query: str) -> None:
    await replica.client.post("/api/deployments", json=report("a"))

    answer = await replica.client.request("DELETE", f"/api/nodes{query}")

    assert answer.status_code == 422 or answer.json() == {"nodes": 0, "deployments": 0}
    assert nodes(database) == ["a"]


async def test_only_an_administrator_forgets_nodes(replica: Replica) -> None:
    async with replica.anonymous() as client:
        problem(await client.request("DELETE", "/api/nodes", params={"status": "lost"}), 401, "E4010")


async def test_a_node_that_speaks_again_meanwhile_stays(replica: Replica, database: psycopg.Connection) -> None:
    for name in ("a", "b"):
        await replica.client.post("/api/deployments", json=report(name))
    database.execute("update gpu_nodes set status = 'lost', lost_at = now()")
    registry = replica.state.registry
    await registry.refresh()
    lost = list(registry.snapshot.nodes)
    database.execute("update gpu_nodes set status = 'ready', lost_at = null where node_id = 'b'")

    assert await registry.forget(lost, actor="test") == (1, 1)

    assert nodes(database) == ["b"]
    assert [one.node_id for one in registry.snapshot.nodes] == ["b"]
