"""Sources over HTTP: made, asked, refreshed; and what is said of those that do not answer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from support.catalogue import add, get, problem
from support.replica import Replica
from support.stub_sources import Listing, StubSource
from support.waiting import until


@pytest.fixture
async def server() -> AsyncIterator[StubSource]:
    """A server that lists two models."""
    async with StubSource() as stub:
        stub.lists("small", "large")
        yield stub


async def add_source(client: httpx.AsyncClient, server: StubSource, name: str = "gpu_1", **more: Any) -> dict[str, Any]:
    """A source that is only asked when a test says so."""
    body = {"name": name, "kind": "openai", "address": f"{server.url}/v1", "active": False} | more
    return await add(client, "sources", **body)


async def refresh(client: httpx.AsyncClient, name: str = "gpu_1", **query: Any) -> dict[str, Any]:
    answered = await client.post(f"/api/sources/{name}/refresh", params=query)
    assert answered.status_code == 200, answered.text
    report: dict[str, Any] = answered.json()
    return report


async def models(client: httpx.AsyncClient) -> dict[str, Any]:
    return {model["model_id"]: model for model in (await get(client, "/api/models"))["items"]}


async def test_a_source_is_asked_by_itself_and_its_models_are_catalogued(replica: Replica, server: StubSource) -> None:
    await add_source(replica.client, server, active=True, interval_seconds=3600)

    async def answered() -> Any:
        source = await get(replica.client, "/api/sources/gpu_1")
        return source if source["state"] == "ok" else None

    source = await until(answered)
    assert (source["models"], source["skipped"], source["error"]) == (2, [], None)
    assert source["counts"]["created"] == 2
    assert source["last_good_at"] is not None
    found = await models(replica.client)
    assert found["small"]["provider_name"] == "gpu_1"
    assert found["small"]["field_sources"]["context_length"] == "gpu_1"
    assert found["small"]["active"] is False


async def test_a_refresh_answers_the_report_and_the_second_changes_nothing(
    replica: Replica, server: StubSource
) -> None:
    await add_source(replica.client, server)

    dry = await refresh(replica.client, dry_run=True)
    assert await models(replica.client) == {}
    first = await refresh(replica.client)
    second = await refresh(replica.client)

    assert [row["action"] for row in dry["report"]] == ["created"] * 3
    assert [row["action"] for row in first["report"]] == ["created"] * 3
    assert [row["action"] for row in second["report"]] == ["unchanged"] * 2
    assert second["revision"] == first["revision"]


async def test_a_model_that_disappears_is_marked_and_back_again_is_not(replica: Replica, server: StubSource) -> None:
    await add_source(replica.client, server)
    await refresh(replica.client)

    server.lists("small")
    await refresh(replica.client)
    gone = (await models(replica.client))["large"]
    server.lists("small", "large")
    await refresh(replica.client)

    assert gone["missing_since"] is not None
    assert (await models(replica.client))["large"]["missing_since"] is None
    assert (await models(replica.client))["small"]["missing_since"] is None


async def test_a_source_that_fails_keeps_what_it_listed(replica: Replica, server: StubSource) -> None:
    await add_source(replica.client, server)
    await refresh(replica.client)

    server.listings["/v1/models"] = Listing({"error": "overloaded"}, status=500)
    refused = await replica.client.post("/api/sources/gpu_1/refresh")
    source = await get(replica.client, "/api/sources/gpu_1")

    assert "it answers 500" in problem(refused, 502, "E5005")["detail"]
    assert (source["state"], source["models"]) == ("failing", 2)
    assert source["failing_since"] is not None
    assert source["last_good_at"] < source["failing_since"]
    assert [m["missing_since"] for m in (await models(replica.client)).values()] == [None, None]
    server.lists("small", "large")
    await refresh(replica.client)
    assert (await get(replica.client, "/api/sources/gpu_1"))["state"] == "ok"
