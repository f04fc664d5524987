"""Who may do what: keys of the environment and of the database, scopes, and keys while the database is unavailable."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import psycopg
import pytest

from model_registry.entities.api_key import hash_of, new_secret
from support.catalogue import add_provider, problem
from support.replica import ADMIN_KEY, Replica
from support.waiting import until

StartReplica = Callable[..., Awaitable[Replica]]
MakeKey = Callable[..., str]

PROVIDER = {"name": "p", "type": "openai"}
REPORT = {"node_id": "n", "provider_type": "ollama", "model_id": "m"}


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


@pytest.fixture
def make_key(database: psycopg.Connection) -> MakeKey:
    """Put a key into the database, as `model-registry keys create` does; returns its secret."""

    def make(*scopes: str, name: str = "a key") -> str:
        secret = new_secret()
        database.execute(
            "insert into api_keys (name, key_hash, scopes) values (%s, %s, to_jsonb(%s::text[]))",
            [name, hash_of(secret), list(scopes)],
        )
        return secret

    return make


async def status(client: httpx.AsyncClient, method: str, path: str, key: str | None, body: Any = None) -> int:
    """What a request with this key answers."""
    headers = {"Cache-Control": "no-cache", **(bearer(key) if key else {})}
    return (await client.request(method, path, json=body, headers=headers)).status_code


@pytest.mark.parametrize(
    ("scopes", "report", "write"),
    [
        (["admin"], 201, 201),
        (["node"], 201, 403),
        (["read"], 403, 403),
        (["node", "read"], 201, 403),
    ],
)
async def test_a_key_may_do_what_its_scopes_say(
    start_replica: StartReplica, make_key: MakeKey, scopes: list[str], report: int, write: int
) -> None:
    key = make_key(*scopes)
    replica = await start_replica(MODEL_REGISTRY_AUTH_READS=True)

    async with replica.anonymous() as client:
        assert await status(client, "GET", "/api/providers", key) == 200
        assert await status(client, "GET", "/api/changes", key) == 200
        assert await status(client, "POST", "/api/deployments", key, REPORT) == report
        assert await status(client, "POST", "/api/providers", key, PROVIDER) == write
        refused = await client.put("/api/providers/p", json={}, headers=bearer(key))
    if write == 403:
        assert "'a key'" in problem(refused, 403, "E4030")["detail"]


async def test_a_key_is_shown_as_bearer_or_in_a_header_of_its_own(replica: Replica) -> None:
    shown: list[dict[str, str]] = [
        {"Authorization": f"Bearer {ADMIN_KEY}"},
        {"authorization": f"bearer {ADMIN_KEY}"},
        {"Authorization": f"BEARER   {ADMIN_KEY} "},
        {"X-API-Key": ADMIN_KEY},
        {"Authorization": "Basic dXNlcjpwYXNz", "X-API-Key": ADMIN_KEY},
    ]
    async with replica.anonymous() as client:
        for i, headers in enumerate(shown):
            answer = await client.post("/api/providers", json={**PROVIDER, "name": f"p{i}"}, headers=headers)
            assert answer.status_code == 201, headers


async def test_what_is_no_key_is_refused(replica: Replica, subtests: pytest.Subtests) -> None:
    wrong: list[dict[str, str]] = [
        {},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer "},
        {"Authorization": ADMIN_KEY},
        {"Authorization": f"Basic {ADMIN_KEY}"},
        {"Authorization": f"Bearer {ADMIN_KEY}x"},
        {"Authorization": f"Bearer {ADMIN_KEY[:-1]}"},
        {"Authorization": f"Bearer {hash_of(ADMIN_KEY)}"},
        {"Authorization": "Bearer a.b.c"},
        {"X-API-Key": ""},
        {"X-API-Key": "é"},
    ]
    async with replica.anonymous() as client:
        for headers in wrong:
            with subtests.test(headers=headers):
                raw = [(name.encode(), value.encode()) for name, value in headers.items()]
                answer = await client.post("/api/providers", json=PROVIDER, headers=raw)
                problem(answer, 401, "E4010")
                assert answer.headers["www-authenticate"] == "Bearer"
                assert ADMIN_KEY not in answer.text


async def test_without_any_key_writes_are_refused_and_it_says_how_to_make_one(
    start_replica: StartReplica, make_key: MakeKey
) -> None:
    replica = await start_replica(MODEL_REGISTRY_API_KEY=None)

    async with replica.anonymous() as client:
        assert (await client.get("/api/providers")).status_code == 200
        for method, path in (("POST", "/api/providers"), ("POST", "/api/deployments"), ("DELETE", "/api/models/m")):
            body = REPORT if "deployments" in path else PROVIDER
            detail = problem(await client.request(method, path, json=body), 401, "E4010")["detail"]
            assert "model-registry keys create" in detail
            assert "MODEL_REGISTRY_API_KEY" in detail

        key = make_key("admin")
        assert await status(client, "GET", "/api/providers", None) == 200
        assert "keys create" not in (await client.post("/api/providers", json=PROVIDER)).text
        assert await status(client, "POST", "/api/providers", key, PROVIDER) == 201


async def test_a_new_key_holds_and_a_revoked_one_does_not_without_a_restart(
    start_replica: StartReplica, make_key: MakeKey, database: psycopg.Connection
) -> None:
    replica = await start_replica(MODEL_REGISTRY_AUTH_READS=True, MODEL_REGISTRY_POLL_SECONDS=0.05)
    async with replica.anonymous() as client:

        async def admitted() -> bool:
            return (await client.get("/api/providers", headers=bearer(key))).status_code == 200

        async def refused() -> bool:
            return not await admitted()

        key = make_key("read")
        await until(admitted, 5)
        database.execute("update api_keys set revoked_at = now()")
        await until(refused, 5)
        database.execute("update api_keys set revoked_at = null")
        await until(admitted, 5)
        database.execute("delete from api_keys")
        await until(refused, 5)


async def test_the_change_log_names_the_key_that_wrote(replica: Replica, make_key: MakeKey) -> None:
    key = make_key("admin", name="deploy pipeline")
    async with replica.anonymous() as client:
        assert await status(client, "GET", "/api/providers", key) == 200
        assert await status(client, "POST", "/api/providers", key, PROVIDER) == 201

    changes = (await replica.client.get("/api/changes")).json()["items"]

    assert changes[-1]["actor"] == "deploy pipeline"


async def test_keys_hold_while_the_database_is_away(stack: Any, start_replica: StartReplica, make_key: MakeKey) -> None:
    key = make_key("read")
    first = await start_replica(MODEL_REGISTRY_AUTH_READS=True)
    await add_provider(first.client)
    stack.postgrest.kill()
    try:
        async with first.anonymous() as client:
            answer = await client.get("/api/providers", headers=bearer(key))
            assert (answer.status_code, answer.json()["count"]) == (200, 1)
            assert await status(client, "GET", "/api/providers", None) == 401
            assert await status(client, "GET", "/api/providers", "wrong") == 401
            assert await status(client, "POST", "/api/providers", key, PROVIDER) == 403
            assert await status(client, "POST", "/api/providers", ADMIN_KEY, PROVIDER) == 503
    finally:
        await asyncio.to_thread(stack.postgrest.start)


async def test_the_key_of_the_environment_holds_with_nothing_loaded(stack: Any, start_replica: StartReplica) -> None:
    stack.postgrest.kill()
    try:
        replica = await start_replica(MODEL_REGISTRY_AUTH_READS=True)
        async with replica.anonymous() as client:
            assert await status(client, "GET", "/api/providers", None) == 401
            assert await status(client, "GET", "/api/providers", ADMIN_KEY) == 503
            assert await status(client, "GET", "/api/providers", "a key of the database") == 401
            assert (await client.get("/healthz")).status_code == 200
    finally:
        await asyncio.to_thread(stack.postgrest.start)


async def test_health_needs_no_key_and_nothing_shows_one(start_replica: StartReplica, make_key: MakeKey) -> None:
    key = make_key("admin", name="a name")
    replica = await start_replica(MODEL_REGISTRY_AUTH_READS=True)

    async with replica.anonymous() as client:
        for path in ("/healthz", "/readyz"):
            assert (await client.get(path)).status_code == 200, path
        for path in ("/healthz", "/readyz", "/metrics", "/openapi.json"):
            answer = await client.get(path, headers=bearer(key))
            assert answer.status_code == 200, path
            for secret in (key, hash_of(key), ADMIN_KEY, hash_of(ADMIN_KEY)):
                assert secret not in answer.text
