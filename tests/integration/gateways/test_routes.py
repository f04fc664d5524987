"""Routes to live deployments on the real stack: rendered as soon as they are reported, and damped."""

from __future__ import annotations

import contextlib
import tomllib
from itertools import pairwise
from typing import Any, LiteralString

import httpx
import psycopg
import pytest
from psycopg import sql

from model_registry.entities.provider_types import PROVIDER_TYPES
from model_registry.gateways.tensorzero.rendering.routes import BEYOND
from model_registry.messaging.subjects import STATUS
from support.catalogue import add_mapping, add_model, add_provider, encoded, get, places, problem
from support.fleet import Fleet, consuming
from support.replica import Replica
from support.waiting import until

CONFIG = "/api/tensorzero/config"
LONG = 3600
"""Longer than any test: held routes stay held."""
SHORT = 0.3


async def catalogue(client: httpx.AsyncClient) -> None:
    """A provider that is routed by deployments, with a model whose name holds a slash."""
    await add_provider(client, route_by="deployments")
    await add_model(client, "org/m", model_id="m:8b")


async def report(client: httpx.AsyncClient, node: str, status: str = "loaded", **fields: Any) -> dict[str, Any]:
    body = {"node_id": node, "model_id": "m:8b", "provider_type": "ollama", "endpoint": f"http://{node}:11434"}
    answer = await client.post("/api/deployments", json={**body, "status": status, **fields})
    assert answer.is_success, answer.text
    row: dict[str, Any] = answer.json()
    return row


async def routing(client: httpx.AsyncClient, **params: Any) -> list[str]:
    """The provider keys of the model, in the order in which gateways try them."""
    text = (await client.get(CONFIG, params=params)).text
    found: list[str] = tomllib.loads(text)["models"]["org/m"]["routing"]
    return found


@pytest.fixture
async def client(start_replica: Any) -> httpx.AsyncClient:
    replica: Replica = await start_replica(MODEL_REGISTRY_ROUTE_HOLD_SECONDS=LONG)
    await catalogue(replica.client)
    return replica.client


async def test_what_nodes_report_is_in_the_next_configuration(client: httpx.AsyncClient) -> None:
    assert await routing(client) == ["ollama_local"]
    await report(client, "a")
    await report(client, "b")
    assert await routing(client) == ["ollama_local@a", "ollama_local@b", "ollama_local"]
    await report(client, "a", "unloaded")
    assert await routing(client) == await routing(client, revision="latest") == ["ollama_local@b", "ollama_local"]


async def test_of_two_that_offer_a_model_the_routed_one_gets_the_deployment(client: httpx.AsyncClient) -> None:
    await add_provider(client, "a_plain")
    await add_model(client, "shared", provider="a_plain", model_id="s:8b")
    await add_provider(client, "z_routed", route_by="deployments")
    await add_model(client, "shared", provider="z_routed", model_id="s:8b")

    await report(client, "a", model_id="s:8b")

    text = (await client.get(CONFIG, params={"revision": "latest"})).text
    assert tomllib.loads(text)["models"]["shared"]["routing"] == ["a_plain", "z_routed@a", "z_routed"]


async def test_each_box_has_its_own_routes_and_every_row_of_its_model_has_them(client: httpx.AsyncClient) -> None:
    for box in ("one", "two"):
        await add_provider(client, box, route_by="deployments", api_base=f"http://{box}:11434/v1")
        await add_model(client, f"chat_{box}", provider=box, model_id="Llama3.2")
        await add_model(client, f"more_{box}", provider=box, model_id="llama3.2:latest", model_type="embedding")
    for box in ("one", "two"):
        row = await report(client, f"n-{box}", model_id="llama3.2:latest", endpoint=f"http://{box.upper()}:11434/")
        assert (row["model_name"], len(row["model_ids"]), row["unlinked_reason"]) == (f"more_{box}", 2, None)

    config = tomllib.loads((await client.get(CONFIG, params={"revision": "latest"})).text)
    for box in ("one", "two"):
        routing = [f"{box}@n-{box}", box]
        assert config["models"][f"chat_{box}"]["routing"] == routing
        assert config["embedding_models"][f"more_{box}"]["routing"] == routing
        (row,) = (await get(client, f"/api/models/chat_{box}/deployments"))["items"]
        assert row["base_url"] == f"http://{box.upper()}:11434/v1"
    assert (await get(client, "/api/deployments", model="chat_two"))["count"] == 1


async def test_what_is_linked_to_nothing_says_why(client: httpx.AsyncClient) -> None:
    await add_provider(client, "box", api_base="http://box:11434/v1")
    await add_provider(client, "cloud", type="openrouter", api_base=None)
    await add_model(client, "hosted", provider="cloud", model_id="h")
    said = {
        "nothing": (await report(client, "a", model_id="x"))["unlinked_reason"],
        "hosted": (await report(client, "a", model_id="H:latest"))["unlinked_reason"],
        "box": (await report(client, "a", model_id="h", endpoint="http://BOX:11434"))["unlinked_reason"],
    }
    assert "no model of the catalogue has the model_id 'x'" in said["nothing"]
    assert "cloud (openrouter)" in said["hosted"]
    assert "the provider at its address, box, has no model 'h'" in said["box"]
    omitted = {o["name"]: o["reason"] for o in (await get(client, "/api/tensorzero/omitted"))["items"]}
    assert omitted["a/ollama/x"] == f"it is linked to no model: {said['nothing']}"


async def test_what_comes_and_goes_is_held_and_says_so(client: httpx.AsyncClient) -> None:
    for status in ("loaded", "unloaded", "loaded"):
        await report(client, "a", status)
    assert await routing(client) == ["ollama_local@a", "ollama_local"]  # once is not flapping
    for status in ("unloaded", "loaded"):
        await report(client, "a", status)
        etag = (await client.get(CONFIG)).headers["etag"]

    assert await routing(client) == await routing(client, revision="latest") == ["ollama_local"]
    omitted = [o for o in (await get(client, "/api/tensorzero/omitted"))["items"] if o["kind"] == "deployment"]
    assert [(o["name"], "hold time" in o["reason"]) for o in omitted] == [("a/ollama/m:8b", True)]
    (row,) = (await get(client, "/api/models/org/m/deployments"))["items"]
    assert (row["status"], row["base_url"], "hold time" in row["reason"]) == ("loaded", None, True)
    await report(client, "a", "unloaded")
    assert (await client.get(CONFIG)).headers["etag"] == etag


async def test_a_node_that_goes_back_and_forth_is_held(fleet: Fleet, start_replica: Any, nats_url: str) -> None:
    replica: Replica = await start_replica(MODEL_REGISTRY_ROUTE_HOLD_SECONDS=LONG, NATS_URL=nats_url)
    await consuming(replica)
    await catalogue(replica.client)
    texts = []
    for turn in range(8):
        data: dict[str, Any] = {"loaded_models": {"ollama/m:8b": {}}}
        await fleet.say(STATUS, {"node_id": "a", "endpoint": f"http://a:{11434 + turn % 2}", "data": data})
        await fleet.settled()
        texts.append((await replica.client.get(CONFIG, params={"revision": "latest"})).text)

    assert sum(before != after for before, after in pairwise(texts)) <= 4
    assert await routing(replica.client) == ["ollama_local"]


async def test_what_is_held_comes_back_by_itself_on_every_replica(start_replica: Any) -> None:
    one, other = [await start_replica(MODEL_REGISTRY_ROUTE_HOLD_SECONDS=SHORT) for _ in range(2)]
    await catalogue(one.client)
    for status in ("loaded", "unloaded", "loaded", "unloaded", "loaded"):
        await report(one.client, "a", status)

    for replica in (one, other):
        etag = (await replica.client.get(CONFIG)).headers["etag"]
        waiting = {"params": {"wait": 30}, "headers": {"If-None-Match": etag}}

        async def back(replica: Replica = replica, waiting: dict[str, Any] = waiting) -> bool:
            if "ollama_local@a" not in (await replica.client.get(CONFIG)).text:
                assert (await replica.client.get(CONFIG, **waiting)).status_code == 200  # those who wait are woken
            return "ollama_local@a" in (await replica.client.get(CONFIG)).text

        await until(back)
    texts = {(await replica.client.get(CONFIG)).text for replica in (one, other)}
    assert len(texts) == 1
    assert [o["name"] for o in (await get(one.client, "/api/tensorzero/omitted"))["items"]] == []


async def test_deployments_elsewhere_cause_no_check(start_replica: Any) -> None:
    replica: Replica = await start_replica()
    await catalogue(replica.client)
    await report(replica.client, "a")
    await replica.client.get(CONFIG)
    before = replica.state.publisher.delivery.served
    for status in ("loaded", "unloaded", "loaded"):
        await report(replica.client, "b", status, model_id="unknown")
    await replica.client.get(CONFIG)
    now = replica.state.publisher.delivery.served

    assert before is not None
    assert now is not None
    assert (now.at, now.revision) == (before.at, replica.state.registry.snapshot.revision)


async def test_the_deployments_of_a_model_say_where_gateways_ask(client: httpx.AsyncClient) -> None:
    await report(client, "b", vram_allocated_mb=1)
    await report(client, "a", "loading")
    await report(client, "c", endpoint=None)
    await report(client, "d", model_id="another")
    path = f"/api/models/{encoded('org/m')}/deployments"
    found = await get(client, path)

    assert found == await get(client, "/api/models/org/m/deployments")
    assert [(d["node_id"], d["base_url"], d["reason"]) for d in found["items"]] == [
        ("b", "http://b:11434/v1", None),
        ("c", None, "it has no endpoint, and neither has its node"),
        ("a", None, "it is loading"),
    ]
    page = await get(client, path, limit=1, offset=2)
    assert ([d["node_id"] for d in page["items"]], page["count"]) == (["a"], 3)
    problem(await client.get("/api/models/nothing/deployments"), 404, "E4001")
    await add_provider(client, "second")
    await add_model(client, "org/m", "second")
    problem(await client.get(path), 409, "E4091")


async def test_the_deployments_beyond_the_most_routes_say_so(
    client: httpx.AsyncClient, database: psycopg.Connection
) -> None:
    database.execute("""
        insert into model_deployments (node_id, provider_type, announced_model, model_id, status, endpoint, event_at)
        select format('n%s', 1000 + i), 'ollama', 'm:8b', m.id, 'loaded', 'http://n:11434', now()
        from models m, generate_series(1, 102) i""")
    await client.get("/healthz", headers={"Cache-Control": "no-cache"})

    items = (await get(client, "/api/models/org/m/deployments", limit=200))["items"]

    assert [bool(row["base_url"]) for row in items] == [True] * 100 + [False] * 2
    assert {row["reason"] for row in items} == {None, BEYOND}
    keys = [f"ollama_local@{row['node_id']}" for row in items[:100]]
    assert await routing(client, revision="latest") == [*keys, "ollama_local"]


async def test_a_cordoned_node_is_no_route_and_is_one_again_at_once(client: httpx.AsyncClient) -> None:
    await report(client, "a")
    for cordoned in (True, False, True, False):  # changes by people are never held
        assert (await client.put("/api/nodes/a", json={"cordoned": cordoned})).is_success
        assert await routing(client) == (["ollama_local"] if cordoned else ["ollama_local@a", "ollama_local"])
    await client.put("/api/nodes/a", json={"endpoint": "http://moved:1"})
    await report(client, "a", endpoint=None)
    assert 'api_base = "http://moved:1/v1"' in (await client.get(CONFIG)).text


async def test_only_some_types_can_be_routed_so(client: httpx.AsyncClient, database: psycopg.Connection) -> None:
    body = {"name": "x", "type": "mistral", "route_by": "deployments"}
    problem(await client.post("/api/providers", json=body), 422, "E4007")
    assert places(problem(await client.post("/api/providers", json={**body, "route_by": "luck"}), 422, "E4005")) == {
        "route_by"
    }
    able = set()
    for name in PROVIDER_TYPES:
        with contextlib.suppress(psycopg.errors.CheckViolation):
            row = "insert into model_providers (name, type, route_by) values (%s, %s, 'deployments')"
            database.execute(row, [name, name])
            able.add(name)
    assert able == {name for name, kind in PROVIDER_TYPES.items() if kind.routable}


async def test_history_shows_settings_and_not_the_fleet(client: httpx.AsyncClient) -> None:
    await report(client, "a")
    revision = (await client.get(CONFIG)).headers["x-registry-revision"]
    await client.patch("/api/providers/ollama_local", json={"route_by": None})

    assert await routing(client, revision=revision) == ["ollama_local"]
    (changed,) = (await get(client, "/api/tensorzero/diff", **{"from": revision, "to": int(revision) + 1}))["items"]
    assert [(f["field"], f["before"], f["after"]) for f in changed["fields"]] == [("route_by", "deployments", None)]
    assert (await client.post("/api/rollback", json={"revision": int(revision)})).is_success
    assert await routing(client) == ["ollama_local@a", "ollama_local"]


async def test_a_service_learns_which_models_it_can_use_now(client: httpx.AsyncClient) -> None:
    await add_provider(client, "cloud", type="openai", api_base=None)
    await add_provider(client, "always", route_by="api_base")
    for name, provider in (("spare", "cloud"), ("asleep", "ollama_local"), ("steady", "always")):
        await add_model(client, name, provider)
    await add_mapping(client, "s/f/asleep", "asleep", priority=1, fallback_model_id="spare")
    await add_mapping(client, "s/f/loaded", "org/m", priority=2, fallback_model_id="asleep")
    await add_mapping(client, "s/f/steady", "steady", priority=3, fallback_model_id="org/m")
    await add_mapping(client, "s/g/other", "asleep", priority=4, fallback_model_id="spare")
    path = "/api/services/s/models"
    plain = (await client.get(path)).content

    async def told(**params: Any) -> list[tuple[Any, ...]]:
        rows = (await get(client, path, deployed="true", **params))["items"]
        return [(r["function_name"], r["name"], r["deployed"], r["deployments"], r["reason"]) for r in rows]

    spare = [("f", "spare", False, 0, "fallback"), ("g", "spare", False, 0, "fallback")]
    assert await told() == [("f", "steady", False, 0, "mapping"), *spare]
    for node in ("a", "b"):
        await report(client, node)
    loaded = [("f", "org/m", True, 2, "mapping"), ("f", "steady", False, 0, "mapping")]
    assert await told() == [*loaded, *spare]
    assert await told(function="g") == spare[1:]
    await report(client, "a", "error")
    assert (await told())[0] == ("f", "org/m", True, 1, "mapping")
    assert (await client.get(path)).content == plain
    problem(await client.get(path, params={"deployed": "maybe"}), 422, "E4005")
    await client.patch("/api/models/spare", json={"active": False})
    assert [row[1] for row in await told()] == ["org/m", "steady"]


def left(database: psycopg.Connection) -> bool:
    """Whether the deployment's route went away since the last call."""
    row = database.execute("select left_at is not null from model_deployments").fetchone()
    database.execute("update model_deployments set left_at = null")
    return bool(row and row[0])


def test_the_database_knows_when_a_route_went_away(database: psycopg.Connection) -> None:
    database.execute("insert into gpu_nodes (node_id, endpoint) values ('n', 'http://n')")
    database.execute("""insert into model_deployments (node_id, provider_type, announced_model, status)
        values ('n', 'ollama', 'm', 'loading')""")

    def becomes(assignments: LiteralString) -> bool:
        database.execute(sql.SQL("update model_deployments set {}").format(sql.SQL(assignments)))
        return left(database)

    assert not becomes("status = 'loaded'")
    assert not becomes("endpoint = 'http://n'")  # where it was already
    assert not becomes("vram_allocated_mb = 1")
    assert becomes("endpoint = 'http://elsewhere'")
    assert becomes("endpoint = null")  # back to the node's own
    assert becomes("status = 'lost'")
    assert not becomes("status = 'unloaded'")
    database.execute("update gpu_nodes set endpoint = null")
    assert not becomes("status = 'loaded'")
    assert not becomes("endpoint = 'http://n'")  # it had none
    for status in ("lost", "loaded", "lost"):
        database.execute("update model_deployments set status = %s", [status])
    both = database.execute("select left_before_at < left_at from model_deployments").fetchone()
    assert both == (True,)


def test_the_database_knows_when_a_node_took_its_routes_elsewhere(database: psycopg.Connection) -> None:
    database.execute(
        "insert into gpu_nodes (node_id, endpoint, announced_endpoint) values ('n', 'http://n', 'http://n')"
    )
    database.execute("""insert into model_deployments (node_id, provider_type, announced_model, status)
        values ('n', 'ollama', 'm', 'loaded')""")

    def becomes(assignments: LiteralString) -> bool:
        database.execute(sql.SQL("update gpu_nodes set {}").format(sql.SQL(assignments)))
        return left(database)

    assert becomes("endpoint = 'http://m', announced_endpoint = 'http://m'")
    assert not becomes("vram_total_mb = 1")
    assert not becomes("endpoint = 'http://set'")  # that is an administrator's
    assert not becomes("announced_endpoint = 'http://n'")
    database.execute("update model_deployments set endpoint = 'http://own'")
    left(database)
    assert not becomes("endpoint = 'http://n'")
    assert not becomes("endpoint = 'http://m', announced_endpoint = 'http://m'")
    database.execute("update model_deployments set endpoint = null, status = 'unloaded'")
    left(database)
    assert not becomes("endpoint = 'http://n', announced_endpoint = 'http://n'")
    with database.transaction():
        database.execute("update model_deployments set status = 'loaded'")
        assert not becomes("endpoint = 'http://m', announced_endpoint = 'http://m'")  # it comes back elsewhere
