"""Importing facts about models over HTTP: in one transaction, without overwriting people's edits, and idempotently."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest
from psycopg.types.json import Jsonb

from model_registry.api.routes.model_import import MOST_OFFERS
from model_registry.entities.change import Operation
from support.catalogue import add_model, add_provider, get, names, places, problem
from support.replica import Replica

FACTS: dict[str, Any] = {"context_length": 128000, "cost_per_1m_input_tokens": 0.15, "category": "text-llm"}


def offer(model_id: str, provider: str = "openai", **fields: Any) -> dict[str, Any]:
    return {"provider": provider, "provider_type": "openai", "model_id": model_id, "fields": FACTS | fields}


async def bring(
    client: httpx.AsyncClient, *offers: dict[str, Any], source: str = "test", **more: Any
) -> dict[str, Any]:
    params = {"dry_run": "true"} if more.pop("dry_run", False) else {}
    body = {"source": source, "offers": list(offers), **more}
    response = await client.post("/api/models/import", json=body, params=params)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


def actions(answer: dict[str, Any]) -> list[str]:
    return [f"{entry['action']} {entry['name']}" for entry in answer["report"]]


async def test_an_import_takes_so_many_offers_and_no_more(replica: Replica) -> None:
    body = {"source": "test", "offers": [offer("m")] * (MOST_OFFERS + 1)}
    answer = await replica.client.post("/api/models/import?dry_run=true", json=body)

    (reason,) = problem(answer, 422, "E4003")["reasons"]
    assert reason["where"] == "offers"
    assert str(MOST_OFFERS) in reason["message"].replace(",", "")


async def test_new_models_come_in_switched_off_and_a_second_time_nothing_happens(replica: Replica) -> None:
    client = replica.client
    before = (await client.get("/api/tensorzero/config?revision=latest")).text

    planned = await bring(client, offer("a"), offer("b"), dry_run=True)
    assert (await get(client, "/api/models"))["count"] == 0

    first = await bring(client, offer("a"), offer("b"))
    assert first["report"] == planned["report"]
    assert actions(first) == ["created openai", "created a", "created b"]
    row = await get(client, "/api/models/a")
    assert FACTS.items() <= row.items()
    assert (row["active"], row["provider_name"], row["offered"]) == (False, "openai", False)
    assert row["field_sources"] == dict.fromkeys(FACTS, "test")
    assert (await get(client, "/api/providers/openai"))["active"] is False
    assert (await client.get("/api/tensorzero/config?revision=latest")).text == before

    second = await bring(client, offer("a"), offer("b"))
    assert actions(second) == ["unchanged a", "unchanged b"]
    assert second["revision"] == first["revision"]


async def test_what_a_source_leaves_out_is_cleared_and_said(replica: Replica) -> None:
    await bring(replica.client, offer("a", requirements={"min_vram_gb": 3}))

    answer = await bring(replica.client, offer("a") | {"left_out": {"requirements": "it states two sizes"}})

    assert answer["report"][0]["kept"] == {"requirements": "it states two sizes"}
    row = await get(replica.client, "/api/models/a")
    assert (row["requirements"], row["field_sources"].keys()) == (None, FACTS.keys())


async def test_what_people_set_or_emptied_stays_and_the_rest_follows_the_source(replica: Replica) -> None:
    client = replica.client
    await add_provider(client, "openai", type="openai", api_base=None)
    await add_model(client, "mine", "openai", model_id="a", context_length=1000)
    await bring(client, offer("a"))
    await client.patch("/api/models/mine", json={"category": None, "cost_per_1m_input_tokens": 3})

    answer = await bring(client, offer("a", max_output_tokens=99))

    row = await get(client, "/api/models/mine")
    assert (row["context_length"], row["cost_per_1m_input_tokens"], row["category"]) == (1000, 3.0, None)
    assert (row["max_output_tokens"], row["field_sources"]) == (99, {"category": "hand", "max_output_tokens": "test"})
    assert answer["report"][0]["kept"] == {
        "context_length": "set by hand",
        "cost_per_1m_input_tokens": "set by hand",
        "category": "emptied by hand",
    }
    assert await names(client, "/api/models") == ["mine"]


async def test_an_edit_that_happens_meanwhile_is_looked_at_again(
    replica: Replica, database: psycopg.Connection
) -> None:
    client = replica.client
    await bring(client, offer("a"))
    # Another replica's edit, which this one has not seen when the import is worked out.
    refreshed = replica.state.registry.refresh
    edits = iter(["""update models set card = card || '{"cost_per_1m_input_tokens": 7}', field_sources = '{}'"""])

    async def refresh_then_edit() -> None:
        await refreshed()
        if edit := next(edits, None):
            await asyncio.to_thread(database.execute, edit.encode())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(replica.state.registry, "refresh", refresh_then_edit)
        answer = await bring(client, offer("a", cost_per_1m_input_tokens=0.2, max_output_tokens=5))

    row = await get(client, "/api/models/a")
    assert (row["cost_per_1m_input_tokens"], row["max_output_tokens"]) == (7.0, 5)
    assert answer["report"][0]["kept"]["cost_per_1m_input_tokens"] == "set by hand"


async def test_bad_offers_are_skipped_with_the_reason_and_the_others_go_in(replica: Replica) -> None:
    client = replica.client
    bad = [
        offer("price", cost_per_1m_input_tokens=-1, max_output_tokens=0),
        offer("field", colour="red"),
        offer("name\n"),
        {**offer("reserved"), "name": "openai::other"},
        {**offer("type", "elsewhere"), "provider_type": "no such type"},
        {"model_id": "nobody"},
    ]
    answer = await bring(client, *bad, offer("good"))

    assert await names(client, "/api/models") == ["good"]
    reasons = {e["name"]: e["reason"] for e in answer["report"] if e["action"] == "skipped"}
    assert list(reasons) == ["price", "field", "name\n", "reserved", "type", "nobody"]
    assert "cost_per_1m_input_tokens" in reasons["price"]
    assert "max_output_tokens" in reasons["price"]
    assert "colour" in reasons["field"]
    assert "shorthand" in reasons["reserved"]


async def test_who_may_import_and_as_whom(replica: Replica) -> None:
    async with replica.anonymous() as anybody:
        refused = await anybody.post("/api/models/import?dry_run=true", json={"source": "x", "offers": []})
        problem(refused, 401, "E4010")
        refused = await anybody.post("/api/models/import", json={"source": "x", "offers": []})
        problem(refused, 401, "E4010")
    refused = await replica.client.post("/api/models/import", json={"source": "hand", "offers": []})
    assert places(problem(refused, 422, "E4003")) == {"source"}


async def test_many_rows_go_in_together_and_a_bad_one_is_still_named(
    replica: Replica, database: psycopg.Connection
) -> None:
    client = replica.client
    answer = await bring(client, *(offer(f"m{number}") for number in range(300)))
    assert len(answer["report"]) == 301
    assert (await get(client, "/api/models"))["count"] == 300
    [(changes, revisions)] = database.execute(
        "select count(*), count(distinct revision) from registry_changes where table_name = 'models'"
    ).fetchall()
    assert (changes, revisions) == (300, 300)

    provider_id = (await get(client, "/api/models/m7"))["provider_id"]
    inserts = [
        Operation("models", "insert", str(uuid4()), {"provider_id": provider_id, "name": name, "model_id": "x"}).wire()
        for name in ("new 1", "new 2", "m7", "new 3")
    ]
    with pytest.raises(psycopg.errors.UniqueViolation) as refused:
        database.execute("select registry_write(%s, 0)", [Jsonb(inserts)])
    assert '"operation" : 2' in str(refused.value.diag.message_detail)
    assert (await get(client, "/api/models"))["count"] == 300
