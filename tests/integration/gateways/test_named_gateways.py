"""Several gateways: each has its own configuration, files and sections below `/api/gateways/NAME`."""

from __future__ import annotations

import asyncio
from typing import Any

import psycopg
import pytest

from support.catalogue import add, add_mapping, add_model, add_provider, get, names, problem
from support.replica import Replica
from support.waiting import until

EDGE = "/api/gateways/edge"
PATHS = ("config", "bundle", "functions", "omitted", "files", "sections")


@pytest.fixture
async def two(replica: Replica) -> Replica:
    """A catalogue with two providers, and a gateway `edge` that carries one of them and has content of its own."""
    for provider in ("near", "far"):
        await add_provider(replica.client, provider)
        await add_model(replica.client, f"at-{provider}", provider)
        await add_mapping(replica.client, f"agents/{provider}/main", f"at-{provider}")
    await add(replica.client, "gateways", name="edge", kind="tensorzero", content_of="edge", providers=["near"])
    return replica


async def test_api_tensorzero_is_another_name_of_the_gateway_tensorzero(two: Replica) -> None:
    for path in PATHS:
        own = await two.client.get(f"/api/tensorzero/{path}")
        named = await two.client.get(f"/api/gateways/tensorzero/{path}")
        assert own.status_code == named.status_code == 200, path
        assert own.content == named.content, path
        assert own.headers["etag"] == named.headers["etag"], path


async def test_a_gateway_gets_what_it_carries(two: Replica) -> None:
    edge, centre = await two.client.get(f"{EDGE}/config"), await two.client.get("/api/tensorzero/config")

    assert edge.headers["content-type"] == "application/toml"
    assert "at-near" in edge.text
    assert "at-far" not in edge.text
    assert "functions" not in edge.text  # its content is its own: there is none
    assert "at-far" in centre.text
    for revision in ("latest", edge.headers["x-registry-revision"]):
        again = await two.client.get(f"{EDGE}/config", params={"revision": revision})
        assert again.text == edge.text


async def test_files_and_sections_belong_to_the_gateway_of_the_path(two: Replica) -> None:
    for prefix, text in ((EDGE, "edge"), ("/api/tensorzero", "centre")):
        for path in ("files/a.txt", "sections/gateway"):
            body = {"content": text} if "files" in path else {"value": {"debug": text == "edge"}}
            assert (await two.client.put(f"{prefix}/{path}", json=body)).status_code == 201
        assert await get(two.client, f"{prefix}/files/a.txt")
        assert await names(two.client, f"{prefix}/files", "path") == ["a.txt"]

    assert (await get(two.client, f"{EDGE}/files/a.txt"))["content"] == "edge"
    assert (await get(two.client, "/api/tensorzero/files/a.txt"))["content"] == "centre"
    assert (await get(two.client, f"{EDGE}/sections/gateway"))["value"] == {"debug": True}
    assert (await get(two.client, "/api/tensorzero/sections/gateway"))["value"] == {"debug": False}
    assert (await two.client.delete(f"{EDGE}/files/a.txt")).status_code == 204
    problem(await two.client.get(f"{EDGE}/files/a.txt"), 404, "E4004")
    assert (await get(two.client, "/api/tensorzero/files/a.txt"))["content"] == "centre"


async def test_content_of_another_gateway_is_one_content(two: Replica) -> None:
    await add(two.client, "gateways", name="twin", kind="tensorzero", content_of="edge")
    await two.client.put("/api/gateways/twin/files/a.txt", json={"content": "shared"})

    assert (await get(two.client, f"{EDGE}/files/a.txt"))["content"] == "shared"


async def test_the_status_names_the_gateway_and_what_it_follows(two: Replica) -> None:
    status = await get(two.client, f"{EDGE}/status")

    assert (status["gateway"], status["kind"]) == ("edge", "tensorzero")
    assert (status["pinned_revision"], status["pin_error"], status["promotion"]) == (None, None, None)
    assert (await get(two.client, "/api/tensorzero/status"))["gateway"] == "tensorzero"


async def test_a_project_and_the_gateways_own_configuration_are_checked(two: Replica) -> None:
    own = await two.client.post(f"{EDGE}/check")
    bad = await two.client.post(f"{EDGE}/check", json={"files": {"tensorzero.toml": "[nonsense]\n"}})

    assert own.json()["accepted"]
    assert own.json()["revision"] == (await get(two.client, f"{EDGE}/status"))["newest_revision"]
    assert not bad.json()["accepted"]


async def test_a_difference_is_that_of_the_gateways_files_and_rows(two: Replica) -> None:
    before = (await get(two.client, f"{EDGE}/status"))["newest_revision"]
    await add_model(two.client, "another-far", "far")
    await add_model(two.client, "another-near", "near")
    after = (await get(two.client, f"{EDGE}/status"))["newest_revision"]

    rows = await get(two.client, f"{EDGE}/diff", **{"from": before, "to": "latest"})
    text = (await two.client.get(f"{EDGE}/diff", params={"from": before, "to": after, "format": "text"})).text
    nothing = await two.client.get(f"{EDGE}/diff", params={"from": "served", "to": "latest", "format": "text"})
    assert [row["name"] for row in rows["items"]] == ["another-near at near"]
    assert "+[models.another-near]" in text
    assert "far" not in text
    assert nothing.text == ""


async def test_a_gateway_that_is_deleted_or_renamed_is_not_found_any_more(two: Replica) -> None:
    config = await two.client.get(f"{EDGE}/config")
    waiting = asyncio.create_task(
        two.client.get(f"{EDGE}/config", params={"wait": 60}, headers={"If-None-Match": config.headers["etag"]})
    )
    await asyncio.sleep(0)

    assert (await two.client.patch("/api/gateways/edge", json={"name": "rim"})).status_code == 200
    problem(await waiting, 404, "E4004")
    problem(await two.client.get(f"{EDGE}/config"), 404, "E4004")
    assert (await two.client.get("/api/gateways/rim/config")).text == config.text

    assert (await two.client.delete("/api/gateways/rim")).status_code == 204
    for path in (*PATHS, "status", "history"):
        problem(await two.client.get(f"/api/gateways/rim/{path}"), 404, "E4004")


async def test_who_waits_for_a_gateway_learns_that_it_is_deleted(two: Replica) -> None:
    config = await two.client.get(f"{EDGE}/config")
    waiting = asyncio.create_task(
        two.client.get(f"{EDGE}/config", params={"wait": 60}, headers={"If-None-Match": config.headers["etag"]})
    )
    await asyncio.sleep(0)
    assert (await two.client.delete("/api/gateways/edge")).status_code == 204

    problem(await waiting, 404, "E4004")


async def test_a_name_with_slashes_is_reached_by_id(two: Replica) -> None:
    row = await add(two.client, "gateways", name="eu/edge", kind="tensorzero")

    assert (await get(two.client, f"/api/gateways/{row['id']}/status"))["gateway"] == "eu/edge"


async def test_a_kind_without_configurations_is_refused_by_name(two: Replica, database: psycopg.Connection) -> None:
    database.execute("alter table gateways drop constraint gateways_kind_known")
    database.execute("insert into gateways (name, kind, content_of) values ('odd', 'unheard-of', 'odd')")
    await two.client.get("/api/gateways", headers={"Cache-Control": "no-cache"})

    for path in ("config", "status", "omitted"):
        found = problem(await two.client.get(f"/api/gateways/odd/{path}"), 409, "E4090")
        assert "unheard-of" in found["detail"]
        assert "tensorzero" in found["detail"]


async def test_a_hanging_check_of_one_gateway_holds_up_no_other(two: Replica) -> None:
    publishers: Any = two.state.publishers
    edge = publishers.of(two.state.registry.snapshot.gateways.where("name", "edge")[0])
    hangs, entered = asyncio.Event(), asyncio.Event()

    async def check(_files: Any, **_named: Any) -> Any:
        entered.set()
        await hangs.wait()

    edge._selector.checker.check = check  # noqa: SLF001 (a loader that hangs)
    await add_model(two.client, "newest", "near")
    await asyncio.wait_for(entered.wait(), 30)

    async def published() -> bool:
        return "newest" in (await two.client.get("/api/tensorzero/config")).text

    await until(published)
    assert "newest" not in (await two.client.get(f"{EDGE}/config", params={"wait": 0})).text
    assert (await get(two.client, f"{EDGE}/status"))["pending"]


async def test_metrics_and_readiness_name_each_gateway(two: Replica, database: psycopg.Connection) -> None:
    await two.client.get(f"{EDGE}/config")
    database.execute("insert into config_sections (name, value, gateway) values ('nonsense', '{}', 'edge')")
    await two.client.get("/api/models", headers={"Cache-Control": "no-cache"})

    async def refused() -> bool:
        return bool((await get(two.client, f"{EDGE}/status"))["excluded"])

    await until(refused)
    shown = (await two.client.get("/metrics")).text
    publishing = (await get(two.client, "/readyz"))["dependencies"]["publishing"]
    assert 'model_registry_gateway_excluded_rows{gateway="edge",kind="tensorzero"} 1.0' in shown
    assert 'model_registry_gateway_excluded_rows{gateway="tensorzero",kind="tensorzero"} 0.0' in shown
    assert 'model_registry_gateway_validations_total{gateway="edge",kind="tensorzero",outcome="partial"} 1.0' in shown
    assert publishing["status"] == "warning"
    assert publishing["detail"].startswith("edge: ")
    assert "/api/gateways/edge/status" in publishing["detail"]
