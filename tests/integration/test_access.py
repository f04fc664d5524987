"""What is open to whom: reads that need a key as soon as there is one, and what MODEL_REGISTRY_AUTH_READS closes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import psycopg
import pytest

from model_registry.entities.api_key import hash_of, new_secret
from support.catalogue import add_model, add_provider, problem
from support.replica import Replica

StartReplica = Callable[..., Awaitable[Replica]]

AUDIT = (
    "/api/changes",
    "/api/history",
    "/api/tensorzero/diff?from=1&to=2",
    "/api/tensorzero/config?revision=1",
    "/api/events/rejected",
    "/api/models/small/versions",
)
"""Reads that tell more than the catalogue as it is now."""
CATALOGUE = ("/api/models", "/api/models/small", "/api/tensorzero/config", "/api/tensorzero/config?revision=latest")


async def catalogue(replica: Replica) -> None:
    await add_provider(replica.client)
    await add_model(replica.client, "small")


async def statuses(client: httpx.AsyncClient, paths: tuple[str, ...], method: str = "GET") -> dict[str, int]:
    return {path: (await client.request(method, path)).status_code for path in paths}


# What needs a key as soon as there is one -----------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_history_needs_a_key_once_there_is_one(replica: Replica, method: str) -> None:
    await catalogue(replica)

    assert await statuses(replica.client, AUDIT + CATALOGUE, method) == dict.fromkeys(AUDIT + CATALOGUE, 200)
    async with replica.anonymous() as anonymous:  # after an answer with a key: none of them may come from a cache
        assert await statuses(anonymous, AUDIT, method) == dict.fromkeys(AUDIT, 401)
        assert await statuses(anonymous, CATALOGUE, method) == dict.fromkeys(CATALOGUE, 200)


async def test_a_refusal_of_history_says_how_a_key_is_sent(replica: Replica) -> None:
    async with replica.anonymous() as anonymous:
        refused = await anonymous.get("/api/changes")

    assert "Authorization: Bearer" in problem(refused, 401, "E4010")["detail"]


async def test_history_is_open_until_the_first_key_is_made(
    start_replica: StartReplica, database: psycopg.Connection
) -> None:
    await catalogue(await start_replica())
    replica = await start_replica(MODEL_REGISTRY_API_KEY=None)
    secret = new_secret()
    async with replica.anonymous() as anonymous:
        assert await statuses(anonymous, AUDIT) == dict.fromkeys(AUDIT, 200)

        database.execute(
            "insert into api_keys (name, key_hash, scopes) values ('reader', %s, '[\"read\"]')", [hash_of(secret)]
        )

        await anonymous.get("/api/providers", headers={"Cache-Control": "no-cache"})
        assert await statuses(anonymous, AUDIT) == dict.fromkeys(AUDIT, 401)
        anonymous.headers["X-API-Key"] = secret
        assert await statuses(anonymous, AUDIT) == dict.fromkeys(AUDIT, 200)


async def test_while_nobody_knows_whether_there_are_keys_history_stays_closed(
    stack: Any, start_replica: StartReplica
) -> None:
    """The log is read from the database itself, which may be back before the snapshot with the keys is."""
    await catalogue(await start_replica())
    stack.postgrest.kill()
    try:
        replica = await start_replica(MODEL_REGISTRY_API_KEY=None, MODEL_REGISTRY_POLL_SECONDS=3600)
    finally:
        await asyncio.to_thread(stack.postgrest.start)

    async with replica.anonymous() as anonymous:
        assert not replica.state.registry.loaded
        assert await statuses(anonymous, AUDIT) == dict.fromkeys(AUDIT, 503)
        assert (await anonymous.get("/api/providers", headers={"Cache-Control": "no-cache"})).status_code == 200
        assert await statuses(anonymous, AUDIT) == dict.fromkeys(AUDIT, 200)
