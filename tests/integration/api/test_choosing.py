"""Finding and choosing over HTTP: filters, order, numbers, history, costs, and names that look like paths."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from support.catalogue import add, add_model, add_provider, encoded, get, names, places, problem
from support.replica import Replica

PRICES = {"cost_per_1m_input_tokens": 0.15, "cost_per_1m_output_tokens": 0.6}


@pytest.fixture
async def client(replica: Replica) -> httpx.AsyncClient:
    """A registry with three models to choose from."""
    await add_provider(replica.client)
    await add_provider(replica.client, "cloud", type="openai", api_base=None)
    await add_model(
        replica.client,
        "mini",
        "cloud",
        **PRICES,
        context_window=128_000,
        capabilities=["chat", "tools"],
        tags=["recommended"],
        quality_scores={"coding": 0.5},
    )
    await add_model(replica.client, "org/big:70b", context_window=8192, status="experimental", category="text-llm")
    await add_model(replica.client, "old", "cloud", status="deprecated", cost_per_1m_input_tokens=5)
    return replica.client


async def post(client: httpx.AsyncClient, path: str, body: dict[str, Any]) -> Any:
    """What a question with a body answers, which must be 200."""
    response = await client.post(path, json=body)
    assert response.status_code == 200, response.text
    return response.json()


async def test_models_are_found_by_what_their_cards_say(client: httpx.AsyncClient) -> None:
    for params, found in (
        ({"capability": ["function_calling", "CHAT"]}, ["mini"]),
        ({"status": ["deprecated", "experimental"]}, ["old", "org/big:70b"]),
        ({"tag": "recommended", "offered": "true"}, ["mini"]),
        ({"category": "text-llm", "min_context": 8192}, ["org/big:70b"]),
        ({"max_cost_per_1m_input_tokens": 4.99}, ["mini"]),
        ({"q": "ORG 70b"}, ["org/big:70b"]),
        ({"sort": "-context_window"}, ["mini", "org/big:70b", "old"]),
        ({"sort": "cost_per_1m_input_tokens", "limit": 1, "offset": 1}, ["old"]),
    ):
        assert await names(client, "/api/models", **params) == found


async def test_a_filtered_list_follows_the_catalogue(client: httpx.AsyncClient) -> None:
    """Lists are kept; what they were made of changes."""
    assert await names(client, "/api/models", category="reranker") == []
    assert await names(client, "/api/models", q="quick") == []

    await add(client, "aliases", alias="Quick one", model="mini")
    await client.patch("/api/models/old", json={"category": "reranker"})
    assert await names(client, "/api/models", q="quick") == ["mini"]
    assert await names(client, "/api/models", category="reranker") == ["old"]

    await client.patch("/api/models/old", json={"category": None})
    await client.delete("/api/categories/reranker")
    problem(await client.get("/api/models", params={"category": "reranker"}), 422, "E4005")


@pytest.mark.parametrize(
    ("params", "place"),
    [
        ({"status": "gone"}, "status"),
        ({"sort": "price"}, "sort"),
        ({"category": "cars"}, "category"),
        ({"min_context": "much"}, "min_context"),
        ({"max_cost_per_1m_output_tokens": "nan"}, "max_cost_per_1m_output_tokens"),
        ({"limit": 0}, "limit"),
    ],
)
async def test_a_filter_that_means_nothing_is_refused_by_name(
    client: httpx.AsyncClient, params: dict[str, Any], place: str
) -> None:
    for path in ("/api/models", "/api/compatibility"):
        assert places(problem(await client.get(path, params=params), 422, "E4005")) == {place}


async def test_a_selection_is_what_was_asked_for(client: httpx.AsyncClient) -> None:
    asked = {"constraints": {"min_context": 10_000, "max_cost": 0.001}, "weights": {"speed": 0}}

    found = await post(client, "/api/models/select", asked)

    assert [(item["rank"], item["model"]["name"]) for item in found["items"]] == [(1, "mini")]
    assert found["items"][0]["cost"] == {"exact": "0.00075", "number": 0.00075}
    assert found["excluded"]["by_constraint"] == {"statuses": 1, "min_context": 2, "max_cost": 2}
    refused = await client.post("/api/models/select", json={"constraints": {"max_price": 1}})
    assert places(problem(refused, 422, "E4005")) == {"constraints.max_price"}


async def test_a_selection_sees_what_is_loaded_now(client: httpx.AsyncClient) -> None:
    asked = {"constraints": {"deployed": True}}
    assert (await post(client, "/api/models/select", asked))["count"] == 0

    big = await get(client, f"/api/models/{encoded('org/big:70b')}")
    assert (await client.post("/api/deployments", json={"node_id": "n", "model_id": big["id"]})).status_code == 201

    found = await post(client, "/api/models/select", asked)
    assert [item["model"]["name"] for item in found["items"]] == ["org/big:70b"]


async def test_costs_are_estimated_side_by_side(client: httpx.AsyncClient) -> None:
    asked = {"input_tokens": 1_000_000, "output_tokens": 1, "requests": 2, "models": ["mini", "old"]}

    found = await post(client, "/api/costs/estimate", asked)

    assert [(item["name"], item["total"]) for item in found["items"]] == [
        ("mini", {"exact": "0.3000012", "number": 0.3000012})
    ]
    assert [(m["name"], m["why"]) for m in found["unpriced"]] == [("old", "not known: cost_per_1m_output_tokens")]
    problem(await client.post("/api/costs/estimate", json={"models": ["nobody"]}), 404, "E4001")
    problem(await client.post("/api/costs/estimate", json={"filter": {"stauts": []}}), 422, "E4005")


async def test_long_requests_and_pictures_have_their_own_prices(client: httpx.AsyncClient) -> None:
    own = {"name": "own", "type": "ollama", "metadata": {"costs_nothing": True}, "api_base": "http://own:11434/v1"}
    assert (await client.post("/api/providers", json=own)).status_code == 201
    wrong = {"metadata": {"costs_nothing": "yes"}}
    assert places(problem(await client.patch("/api/providers/own", json=wrong), 422, "E4005")) == {"metadata"}
    await add_model(client, "local", "own")
    prices = [
        {"of": "input_tokens", "per_million": 10, "above_input_tokens": 200_000},
        {"of": "output_images", "per_unit": "0.040"},
    ]
    tiered = {"cost_per_1m_input_tokens": 5, "cost_per_1m_output_tokens": 0, "further_prices": prices}
    await add_model(client, "tiered", "cloud", **tiered)

    view = await get(client, "/api/models/tiered")
    assert view["further_prices"][1]["per_unit"] == "0.04"
    asked = {"input_tokens": 300_000, "counts": {"output_images": 2}, "models": ["tiered", "local"]}
    found = await post(client, "/api/costs/estimate", asked)
    assert [(item["name"], item["total"]["exact"]) for item in found["items"]] == [("local", "0"), ("tiered", "3.08")]
    found = await post(client, "/api/costs/estimate", {"models": ["tiered"], "variant": "eu"})
    assert found["unpriced"][0]["why"] == (
        "not known: the price of input_tokens for eu, the price of output_tokens for eu"
    )
    twice = {"further_prices": [prices[1], prices[1]]}
    refused = problem(await client.patch("/api/models/tiered", json=twice), 422, "E4003")
    assert places(refused) == {"further_prices"}
    cheap = {"constraints": {"max_cost_per_1m_input_tokens": 0}, "weights": {"cost": 1}}
    found = await post(client, "/api/models/select", cheap)
    assert [(item["model"]["name"], len(item["parts"])) for item in found["items"]] == [("local", 1)]


@pytest.mark.usefixtures("client")
async def test_reading_needs_no_key_where_reads_are_open(replica: Replica) -> None:
    async with replica.anonymous() as anonymous:
        for path in ("/api/models/select", "/api/costs/estimate"):
            assert (await anonymous.post(path, json={})).status_code == 200


async def test_models_are_compared_by_any_reference(client: httpx.AsyncClient) -> None:
    apart = await get(client, "/api/models/compare", ids=["mini", "org/big:70b"])
    together = await get(client, "/api/models/compare", ids="mini,org/big:70b")

    assert apart == together
    assert [model["name"] for model in apart["models"]] == ["mini", "org/big:70b"]
    assert apart["fields"][0]["differs"]
    problem(await client.get("/api/models/compare", params={"ids": "mini,nobody"}), 404, "E4001")
    assert places(problem(await client.get("/api/models/compare"), 422, "E4005")) == {"ids"}


async def test_every_state_of_a_model_can_be_seen(client: httpx.AsyncClient) -> None:
    path = f"/api/models/{encoded('org/big:70b')}"
    made = await get(client, path)
    await client.patch(path, json={"display_name": "Big", "context_window": 4096})
    await client.delete(path)

    first = await get(client, f"/api/models/{made['id']}/versions", limit=1)
    rest = await get(client, f"/api/models/{made['id']}/versions", after=first["next_after"])

    states = [*first["items"], *rest["items"]]
    assert [state["operation"] for state in states] == ["insert", "update", "delete"]
    assert (first["count"], rest["next_after"]) == (3, None)
    assert states[0]["model"].items() <= made.items()
    assert (states[1]["model"]["display_name"], states[1]["model"]["context_window"]) == ("Big", 4096)
    assert states[2]["model"] is None
    assert all(state["actor"] == "environment key" and state["at"] for state in states)


async def test_versions_of_what_never_was_are_not_found(client: httpx.AsyncClient) -> None:
    assert (await get(client, "/api/models/mini/versions"))["count"] == 1
    assert (await get(client, f"/api/models/{encoded('org/big:70b')}/versions"))["count"] == 1
    for reference in ("nobody", "6f3a27d4-0000-4000-8000-00000000000a"):
        problem(await client.get(f"/api/models/{reference}/versions"), 404, "E4001")


async def test_models_that_are_named_as_a_path_are_reached_by_id(client: httpx.AsyncClient) -> None:
    for name in ("stats", "compare", "select", "mini/versions"):
        made = await add_model(client, name)
        assert (await get(client, f"/api/models/{made['id']}"))["name"] == name
        changed = await client.patch(f"/api/models/{made['id']}", json={"vram_mb": 1})
        assert (changed.status_code, changed.json()["id"]) == (200, made["id"])

    assert (await get(client, "/api/models/stats"))["total"] == 7
    assert (await get(client, "/api/models/mini/versions"))["items"]
    assert (await get(client, "/api/models/select"))["name"] == "select"


async def test_the_matrix_is_paged_and_filtered(client: httpx.AsyncClient) -> None:
    whole = await get(client, "/api/compatibility")
    page = await get(client, "/api/compatibility", limit=1, offset=1)

    assert page["items"] == whole["items"][1:2]
    assert (page["count"], page["capabilities"]) == (3, whole["capabilities"])
    assert await names(client, "/api/compatibility", capability="tool_use") == ["mini"]


@pytest.mark.usefixtures("client")
async def test_openai_clients_may_send_any_key_where_reads_are_open(replica: Replica) -> None:
    async with replica.anonymous() as anonymous:
        for _ in range(2):  # the second answer comes from the cache
            found = await anonymous.get("/v1/models", headers={"Authorization": "Bearer anything"})
            assert [entry["id"] for entry in found.json()["data"]] == ["mini", "org/big:70b"]
            refused = await anonymous.get("/api/models", headers={"Authorization": "Bearer anything"})
            problem(refused, 401, "E4010")


async def test_openai_clients_need_a_key_where_reads_are_not_open(start_replica: Any) -> None:
    closed = await start_replica(MODEL_REGISTRY_AUTH_READS=True)
    for _ in range(2):
        assert (await closed.client.get("/v1/models")).json() == {"object": "list", "data": []}
        refused = await closed.client.get("/v1/models", headers={"Authorization": "Bearer anything"})
        problem(refused, 401, "E4010")
