"""A model's card over HTTP: flat fields, validated, changed one by one, and stored with their source."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import psycopg
import pytest

from support.catalogue import add_model, add_provider, get, names, places, problem
from support.replica import Replica

StartReplica = Callable[..., Awaitable[Replica]]

CARD: dict[str, Any] = {
    "display_name": "Qwen 3 8B",
    "max_output_tokens": 8192,
    "cost_per_1m_input_tokens": 0.15,
    "cost_per_1m_output_tokens": 0.6,
    "latency_p50_ms": 500,
    "latency_p99_ms": 2000,
    "quality_scores": {"reasoning": 0.75, "coding": 0.7},
    "benchmarks": {"MMLU": {"score": 71.3, "source": "https://example.org/mmlu", "measured_on": "2026-01-02"}},
    "category": "text-llm",
    "parameters": "8.2B",
    "requirements": {"min_vram_gb": 6.0, "recommended_vram_gb": 8.0},
    "tags": ["recommended"],
    "urls": {"docs": None},
    "released_on": "2025-04-29",
}


@pytest.fixture
async def client(replica: Replica) -> httpx.AsyncClient:
    await add_provider(replica.client)
    return replica.client


async def test_fields_of_the_card_stand_beside_the_others_and_come_back_as_they_were(client: httpx.AsyncClient) -> None:
    made = await add_model(client, "m", capabilities=["function_calling"], context_window=32768, **CARD)

    assert CARD.items() <= made.items()
    assert (made["context_length"], made["context_window"], made["status"]) == (32768, 32768, "active")
    assert (made["offered"], made["supports"]["tool_use"], made["supports"]["vision"]) == (True, True, False)
    assert made["rate_limit_rpm"] is None
    assert (await client.put("/api/models/m", json=made)).json() == made, "what was read can be written"


async def test_every_bad_field_is_named_in_one_answer(client: httpx.AsyncClient) -> None:
    body = {"name": "m", "model_id": "m", "provider": "ollama_local", "status": "gone", "max_output_tokens": -1}
    refused = await client.post("/api/models", json={**body, "latency_p50_ms": 3, "latency_p99_ms": 2})
    assert places(problem(refused, 422, "E4003")) == {"status", "max_output_tokens", "latency_p99_ms"}

    unknown = {"category": "cars", "replaced_by": "nobody", "context_length": 1, "context_window": 2}
    refused = await client.post(
        "/api/models", json={"name": "m", "model_id": "m", "provider": "ollama_local", **unknown}
    )
    assert places(problem(refused, 422, "E4003")) == {"category", "replaced_by", "context_window"}


async def test_two_who_change_two_facts_at_once_both_keep_theirs(
    client: httpx.AsyncClient, start_replica: StartReplica
) -> None:
    made = await add_model(client, "m", **CARD)
    other = (await start_replica(MODEL_REGISTRY_POLL_SECONDS=3600)).client

    answers = await asyncio.gather(
        client.patch("/api/models/m", json={"display_name": "A", "tags": None}),
        other.patch("/api/models/m", json={"cost_per_1m_input_tokens": 2, "latency_p99_ms": 600}),
    )

    assert [answer.status_code for answer in answers] == [200, 200]
    row = await get(client, f"/api/models/{made['id']}")
    seen = await client.get(f"/api/models/{made['id']}", headers={"Cache-Control": "no-cache"})
    changed = {"display_name": "A", "tags": None, "cost_per_1m_input_tokens": 2.0, "latency_p99_ms": 600}
    assert {**row, **seen.json()}.items() >= (CARD | changed).items()


async def test_a_field_that_was_emptied_by_hand_is_remembered(client: httpx.AsyncClient) -> None:
    await add_model(client, "m", **CARD)

    emptied = (await client.patch("/api/models/m", json={"category": None})).json()

    assert (emptied["category"], emptied["field_sources"]) == (None, {"category": "hand"})


async def test_models_whose_status_says_so_are_not_offered(client: httpx.AsyncClient) -> None:
    for status in ("active", "experimental", "deprecated", "disabled", "maintenance"):
        await add_model(client, status, status=status)

    rows = (await get(client, "/api/models"))["items"]
    assert {row["name"] for row in rows if row["offered"]} == {"active", "experimental"}


async def test_a_category_that_models_name_is_not_deleted(client: httpx.AsyncClient) -> None:
    assert "text-llm" in await names(client, "/api/categories", "key")
    await add_model(client, "m", category="text-llm")

    refused = await client.delete("/api/categories/text-llm")

    assert problem(refused, 409, "E4092")["referrers"] == ["the model m"]


async def test_the_card_stays_out_of_the_configuration(client: httpx.AsyncClient) -> None:
    await add_model(client, "m")
    before = (await client.get("/api/tensorzero/config")).text

    await client.patch("/api/models/m", json=CARD)

    assert (await client.get("/api/tensorzero/config")).text == before


@pytest.mark.parametrize(
    "card",
    [
        '{"cost_per_1m_input_tokens": -1}',
        '{"quality_scores": {"coding": 2}}',
        '{"latency_p50_ms": 2, "latency_p99_ms": 1}',
        '{"requirements": {"min_vram_gb": 2, "recommended_vram_gb": 1}}',
        "[]",
    ],
)
async def test_the_database_refuses_a_bad_card_too(
    client: httpx.AsyncClient, database: psycopg.Connection, card: str
) -> None:
    await add_model(client, "m")

    with pytest.raises(psycopg.errors.CheckViolation):
        database.execute("update models set card = %s::jsonb", [card])
