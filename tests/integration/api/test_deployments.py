"""Deployments over HTTP: reported, found by node and model, grouped, and updated by the newest report."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import psycopg
import pytest

from support.catalogue import add_model, add_provider, encoded, get, names, places, problem
from support.replica import Replica

EARLIER = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
async def client(replica: Replica) -> httpx.AsyncClient:
    """A registry that holds an Ollama with one model."""
    await add_provider(replica.client)
    await add_model(replica.client, "small", model_id="qwen3:8b")
    return replica.client


async def report(client: httpx.AsyncClient, node: str, model: str, **fields: Any) -> dict[str, Any]:
    """Report a deployment, new or not."""
    body = {"node_id": node, "model_id": model, "provider_type": "ollama", **fields}
    answer = await client.post("/api/deployments", json=body)
    assert answer.status_code in (200, 201), answer.text
    row: dict[str, Any] = answer.json()
    return row


@pytest.mark.parametrize("path", ["/api/deployments", "/api/deployments/register"])
async def test_a_report_makes_a_deployment_and_the_same_again_makes_no_other(
    client: httpx.AsyncClient, path: str
) -> None:
    body = {"node_id": "gpu-1", "model_id": "qwen3:8b", "provider_type": "ollama", "vram_allocated_mb": 6144}

    made = await client.post(path, json=body)
    again = await client.post(path, json={**body, "vram_allocated_mb": 7000})

    assert (made.status_code, again.status_code) == (201, 200)
    assert made.headers["location"] == again.headers["location"] == f"/api/deployments/{made.json()['id']}"
    assert again.json()["id"] == made.json()["id"]
    row = (await get(client, "/api/deployments"))["items"]
    assert [(d["announced_model"], d["model_name"], d["vram_allocated_mb"], d["status"]) for d in row] == [
        ("qwen3:8b", "small", 7000, "loaded")
    ]
    assert await get(client, made.headers["location"]) == again.json()


async def test_a_model_may_be_given_by_the_catalogues_id(client: httpx.AsyncClient) -> None:
    model = await get(client, "/api/models/small")

    answer = await client.post("/api/deployments", json={"node_id": "gpu-1", "model_id": model["id"]})

    assert answer.status_code == 201, answer.text
    row = answer.json()
    assert (row["model_id"], row["announced_model"], row["provider_type"]) == (model["id"], "qwen3:8b", "ollama")


async def test_a_model_that_is_in_no_catalogue_is_kept_without_a_link(client: httpx.AsyncClient) -> None:
    row = await report(client, "gpu-1", "vllm/default", provider_type="vllm")

    assert (row["model_id"], row["model_name"], row["announced_model"]) == (None, None, "vllm/default")


async def test_a_report_that_says_too_little_is_refused_with_what_is_missing(client: httpx.AsyncClient) -> None:
    unknown = "6f3a27d4-0000-4000-8000-000000000000"

    assert places(problem(await client.post("/api/deployments", json={}), 422, "E4008")) == {"node_id", "model_id"}
    no_type = await client.post("/api/deployments", json={"node_id": "n", "model_id": "m"})
    assert places(problem(no_type, 422, "E4005")) == {"provider_type"}
    nothing = await client.post("/api/deployments", json={"node_id": "n", "model_id": unknown})
    assert places(problem(nothing, 422, "E4006")) == {"model_id"}


BAD: dict[str, tuple[Any, ...]] = {
    "node_id": ("", "n" * 201, "a\x00b"),
    "model_id": ("", "m" * 301),
    "provider_type": ("", "t" * 65, "a\x00b"),
    "status": ("asleep", ""),
    "vram_allocated_mb": (-1, 2**31, "much"),
    "timestamp": ("yesterday", 1e30),
    "endpoint": ("x" * 2001, "a\x00b"),
    "metadata": ({"x": 2**63}, []),
}


async def test_every_bad_field_of_a_report_is_named(client: httpx.AsyncClient, subtests: pytest.Subtests) -> None:
    for field, values in BAD.items():
        for value in values:
            with subtests.test(field=field, value=str(value)[:20]):
                body = {"node_id": "n", "model_id": "m", "provider_type": "ollama", field: value}
                answer = await client.post("/api/deployments", json=body)
                assert places(problem(answer, 422, "E4008")) == {field}
    assert (await get(client, "/api/deployments"))["count"] == 0


async def test_an_older_report_changes_nothing(client: httpx.AsyncClient) -> None:
    newer = await report(client, "gpu-1", "qwen3:8b", timestamp=EARLIER.isoformat(), vram_allocated_mb=1)

    older = await report(
        client, "gpu-1", "qwen3:8b", timestamp=(EARLIER - timedelta(seconds=1)).isoformat(), status="unloaded"
    )

    assert older == newer


async def test_a_status_is_set_and_the_rest_stays(client: httpx.AsyncClient) -> None:
    made = await report(client, "gpu-1", "qwen3:8b", vram_allocated_mb=6144, endpoint="http://gpu-1:11434")

    answer = await client.put(
        f"/api/deployments/{made['id']}/status", json={"status": "error", "error_message": "out of memory"}
    )

    assert answer.status_code == 200, answer.text
    row = answer.json()
    assert (row["status"], row["error_message"]) == ("error", "out of memory")
    kept = ("id", "node_id", "announced_model", "vram_allocated_mb", "endpoint", "model_id")
    assert {name: row[name] for name in kept} == {name: made[name] for name in kept}
    assert await get(client, f"/api/deployments/{made['id']}") == row


async def test_a_deployment_is_named_by_node_type_and_model_too(client: httpx.AsyncClient) -> None:
    made = await report(client, "rack/1", "org/model:tag", provider_type="vllm")

    for reference in ("rack/1/vllm/org/model:tag", encoded("rack/1/vllm/org/model:tag"), made["id"]):
        assert await get(client, f"/api/deployments/{reference}") == made
        answer = await client.put(f"/api/deployments/{reference}/status", json={"status": "loaded"})
        assert answer.json() == made


async def test_a_status_of_nothing_or_that_means_nothing_is_refused(client: httpx.AsyncClient) -> None:
    made = await report(client, "gpu-1", "qwen3:8b")

    problem(await client.put("/api/deployments/nothing/status", json={"status": "loaded"}), 404, "E4004")
    answer = await client.put(f"/api/deployments/{made['id']}/status", json={"status": "asleep"})
    assert places(problem(answer, 422, "E4008")) == {"status"}


async def test_deployments_are_filtered_by_whole_node_names_status_and_model(client: httpx.AsyncClient) -> None:
    await report(client, "gpu-1", "qwen3:8b")
    await report(client, "gpu-10", "qwen3:8b", status="loading")
    await report(client, "gpu-10", "other")
    await report(client, "gpu-1", "other", status="unloaded")
    small = await get(client, "/api/models/small")

    async def found(**filters: str) -> list[tuple[str, str]]:
        rows = (await get(client, "/api/deployments", **filters))["items"]
        return [(row["node_id"], row["announced_model"]) for row in rows]

    assert await found(node_id="gpu-1") == [("gpu-1", "other"), ("gpu-1", "qwen3:8b")]
    assert await found(node_id="gpu") == []
    assert await found(node_id="GPU-1") == []
    assert await found(node_id="gpu-1", status="loaded") == [("gpu-1", "qwen3:8b")]
    for model in ("small", "qwen3:8b", small["id"]):
        assert await found(model=model) == [("gpu-1", "qwen3:8b"), ("gpu-10", "qwen3:8b")]
    assert await found(model="other", status="loaded") == [("gpu-10", "other")]
    assert (await get(client, "/api/deployments", limit=1, offset=1))["count"] == 4


async def test_nodes_have_one_row_each_however_much_they_run(
    client: httpx.AsyncClient, database: psycopg.Connection
) -> None:
    await report(client, "gpu-1", "qwen3:8b", vram_allocated_mb=6000)
    await report(client, "gpu-1", "loading", vram_allocated_mb=500, status="loading")
    await report(client, "gpu-1", "gone", vram_allocated_mb=9000, status="unloaded")
    await report(client, "gpu-10", "qwen3:8b")
    database.execute("insert into gpu_nodes (node_id, endpoint) values ('silent', 'http://silent')")
    await client.get("/api/providers", headers={"Cache-Control": "no-cache"})

    found = await get(client, "/api/deployments/nodes")

    assert found["count"] == 3
    assert [(n["node_id"], n["vram_allocated_mb"], n["loaded"], len(n["deployments"])) for n in found["items"]] == [
        ("gpu-1", 6500, 1, 3),
        ("gpu-10", 0, 1, 1),
        ("silent", 0, 0, 0),
    ]
    assert found["items"][2]["endpoint"] == "http://silent"


async def test_a_deployment_is_linked_when_its_model_appears_and_loses_it_with_the_model(
    client: httpx.AsyncClient,
) -> None:
    await report(client, "gpu-1", "gemma3:4b")
    assert await names(client, "/api/deployments", "model_name") == [None]

    await add_model(client, "gemma", model_id="gemma3:4b")
    assert await names(client, "/api/deployments", "model_name") == ["gemma"]

    assert (await client.delete("/api/models/gemma")).status_code == 204
    assert await names(client, "/api/deployments", "model_name") == [None]
    assert await names(client, "/api/deployments", "announced_model") == ["gemma3:4b"]
