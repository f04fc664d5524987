"""`/api/changes`: the change log over HTTP, whole, in order, and without keys."""

from __future__ import annotations

from typing import Any

import httpx
import psycopg
import pytest

from model_registry.entities.api_key import hash_of
from support.catalogue import add, add_mapping, add_model, add_provider, get, places, problem
from support.replica import Replica


@pytest.fixture
def client(replica: Replica) -> httpx.AsyncClient:
    return replica.client


async def all_changes(client: httpx.AsyncClient, **params: Any) -> list[dict[str, Any]]:
    """Every page of the log, from the first."""
    found: list[dict[str, Any]] = []
    after: int | None = 0
    while after is not None:
        page = await get(client, "/api/changes", after=after, **params)
        found += page["items"]
        after = page["next_after"]
    return found


async def test_an_empty_log_is_one_empty_page(client: httpx.AsyncClient) -> None:
    assert await get(client, "/api/changes") == {"items": [], "count": 0, "next_after": None}


async def test_every_change_is_there_with_what_was_and_what_is(client: httpx.AsyncClient) -> None:
    made = await add_provider(client, "p", type="openai", api_base=None)
    await client.patch("/api/providers/p", json={"active": False})
    await client.delete("/api/providers/p")

    insert, update, delete = await all_changes(client)

    assert [change["operation"] for change in (insert, update, delete)] == ["insert", "update", "delete"]
    assert {(change["table"], change["row_id"]) for change in (insert, update, delete)} == {
        ("model_providers", made["id"])
    }
    assert (insert["before"], delete["after"]) == (None, None)
    assert insert["after"] == update["before"]
    assert update["after"] == delete["before"]
    assert (update["before"]["active"], update["after"]["active"]) == (True, False)
    assert {change["actor"] for change in (insert, update, delete)} == {"environment key"}
    assert insert["revision"] < update["revision"] < delete["revision"]
    assert insert["at"] < update["at"] < delete["at"]


async def test_what_a_deployment_was_is_told_though_the_log_has_it_once(
    client: httpx.AsyncClient, database: psycopg.Connection
) -> None:
    for vram_mb in (1, 2, 2, 3):
        said = {"node_id": "n", "provider_type": "ollama", "model_id": "m", "status": "loaded"}
        assert (await client.post("/api/deployments", json={**said, "vram_allocated_mb": vram_mb})).is_success
    assert (await client.delete("/api/nodes/n")).is_success

    insert, *changes = await all_changes(client, table="model_deployments")

    assert [change["operation"] for change in changes] == ["update", "update", "delete"]
    assert insert["before"] is None
    assert [change["before"]["vram_allocated_mb"] for change in changes] == [1, 2, 3]
    assert [change["before"]["version"] for change in changes] == [1, 2, 3]
    stored = "select count(*) from registry_changes where table_name = 'model_deployments' and operation = 'update'"
    assert database.execute(f"{stored} and before is null").fetchall() == [(2,)]


async def test_pages_add_up_to_the_whole_log(client: httpx.AsyncClient) -> None:
    for i in range(7):
        await add_provider(client, f"p{i}")
    whole = await all_changes(client)
    assert [change["after"]["name"] for change in whole] == [f"p{i}" for i in range(7)]

    for size in (1, 3, 7, 1000):
        assert await all_changes(client, limit=size) == whole
    page = await get(client, "/api/changes", limit=7)
    assert (page["count"], page["next_after"]) == (7, None)
    after = await get(client, "/api/changes", after=whole[4]["revision"])
    assert (after["items"], after["count"]) == (whole[5:], 7)


async def test_the_log_is_filtered_by_table_and_row(client: httpx.AsyncClient) -> None:
    provider = await add_provider(client)
    await add_model(client, "m")
    await add_mapping(client, "s/f/v", "m")
    await client.patch("/api/providers/ollama_local", json={"active": False})

    assert [c["operation"] for c in await all_changes(client, table="model_providers")] == ["insert", "update"]
    assert len(await all_changes(client, row_id=provider["id"].upper(), limit=1)) == 2
    # The function that a mapping made is a change too.
    assert [c["after"]["name"] for c in await all_changes(client, table="functions")] == ["s_f"]
    assert await all_changes(client, table="models", row_id=provider["id"]) == []
    assert places(problem(await client.get("/api/changes?row_id=ollama_local"), 422, "E4005")) == {"row_id"}


async def test_changes_made_in_sql_carry_the_role_that_made_them(
    client: httpx.AsyncClient, database: psycopg.Connection
) -> None:
    database.execute("insert into model_providers (name, type) values ('p', 'openai')")

    assert [change["actor"] for change in await all_changes(client)] == ["postgres"]


async def test_keys_are_never_in_it(client: httpx.AsyncClient, database: psycopg.Connection) -> None:
    database.execute(
        "insert into api_keys (name, key_hash, scopes) values ('ci', %s, '[\"admin\"]')", [hash_of("the secret")]
    )
    row_id = database.execute("select id::text from api_keys").fetchone()
    assert row_id is not None
    await add_provider(client)
    database.execute("update api_keys set revoked_at = now()")

    for query in ("", "?limit=1", f"?row_id={row_id[0]}"):
        answer = await client.get(f"/api/changes{query}")
        assert answer.status_code == 200
        assert hash_of("the secret") not in answer.text
        assert "api_keys" not in answer.text
    assert [change["table"] for change in await all_changes(client, limit=1)] == ["model_providers"]
    problem(await client.get("/api/changes?table=api_keys"), 422, "E4005")


async def test_a_change_of_several_rows_is_several_changes_in_one_transaction(
    client: httpx.AsyncClient, database: psycopg.Connection
) -> None:
    database.execute("insert into model_providers (name, type) select 'p' || i, 'openai' from generate_series(1, 3) i")
    database.execute("update model_providers set active = false where name <> 'p2'")

    changes = await all_changes(client)

    assert len({change["revision"] for change in changes}) == 5
    assert sorted(change["after"]["name"] for change in changes[3:]) == ["p1", "p3"]


async def test_a_refused_write_leaves_no_trace(client: httpx.AsyncClient) -> None:
    await add_provider(client)
    body = {"model": "none", "alias": "a"}

    await client.post("/api/aliases", json=body)
    await client.post("/api/providers", json={"name": "ollama_local", "type": "openai"})

    assert len(await all_changes(client)) == 1
    assert (await add(client, "functions", service_name="s", function_name="f"))["version"] == 1
