"""Long work delays no other request, and a database that hangs delays no reader."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import psycopg
import pytest

from model_registry.api import middleware as front
from model_registry.api.routes import tensorzero
from model_registry.errors import StorageUnavailable
from model_registry.store.client import LOG_CONNECTIONS, Database
from support.catalogue import add_model, add_provider, get, problem
from support.replica import Replica
from support.waiting import until

TOML = '[models.m]\nrouting = ["p"]\n[models.m.providers.p]\ntype = "openai"\nmodel_name = "m"'
PROJECT = {"files": {"tensorzero.toml": TOML}}
DRY_RUN = "/api/tensorzero/import?dry_run=true"


@pytest.fixture
def endless_imports(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """Plans that never end; answers how many are being made."""
    busy: set[int] = set()

    def plan(*_arguments: object, **_options: object) -> None:
        busy.add(threading.get_ident())
        try:
            while True:
                sum(range(100))
        finally:
            busy.discard(threading.get_ident())

    monkeypatch.setattr(tensorzero, "plan_import", plan)
    return lambda: len(busy)


async def flooded(client: httpx.AsyncClient, replica: Replica) -> list[asyncio.Task[httpx.Response]]:
    """More dry runs than are worked on at once."""
    asking = [asyncio.create_task(client.post(DRY_RUN, json=PROJECT)) for _ in range(12)]
    await happens(lambda: sum(task.done() for task in asking) == 3)
    assert replica.state.work.imports.busy == 9
    return asking


async def test_who_asks_for_more_than_fits_is_told_to_come_again(
    replica: Replica, endless_imports: Callable[[], int]
) -> None:
    asking = await flooded(replica.client, replica)
    for task in asking:
        if task.done():
            refused = problem(task.result(), 429, "E4290")
            assert "imports" in refused["detail"]
            assert task.result().headers["retry-after"]
    await happens(lambda: endless_imports() == 1)
    for task in asking:
        task.cancel()
    await happens(lambda: endless_imports() == 0)
    assert 'reason="busy"} 3.0' in (await replica.client.get("/metrics")).text


async def test_writes_and_their_validation_go_on_beside_a_flood(
    replica: Replica, endless_imports: Callable[[], int]
) -> None:
    asking = await flooded(replica.client, replica)
    await add_provider(replica.client, "p", type="openai", api_base=None)
    await add_model(replica.client, "m", "p")
    assert "[models.m]" in (await replica.client.get("/api/tensorzero/config")).text
    await happens(lambda: endless_imports() == 1)
    assert (await get(replica.client, "/api/history"))["count"] == 2
    for task in asking:
        task.cancel()


async def test_long_work_ends_with_its_deadline(start_replica: Any, endless_imports: Callable[[], int]) -> None:
    replica = await start_replica(MODEL_REGISTRY_WORK_SECONDS=0.2)
    answer = await replica.client.post(DRY_RUN, json=PROJECT)
    assert "nothing was written" in problem(answer, 503, "E5032")["detail"]
    await happens(lambda: endless_imports() == 0)


async def test_long_work_ends_when_the_service_does(replica: Replica, endless_imports: Callable[[], int]) -> None:
    asking = asyncio.create_task(replica.client.post(DRY_RUN, json=PROJECT))
    await happens(lambda: endless_imports() == 1)
    replica.state.release()
    problem(await asking, 429, "E4290")
    await happens(lambda: endless_imports() == 0)


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> Callable[[Replica], None]:
    """Make the database take every call of a replica's, and answer none."""
    monkeypatch.setattr(front, "LOOK_SECONDS", 0.1)

    def hang(_replica: Replica) -> None:
        async def call(*_arguments: object, **_options: object) -> None:
            await asyncio.sleep(15)
            raise StorageUnavailable("away")

        monkeypatch.setattr(Database, "call", call)  # a hang as of a network

    return hang


async def test_no_cache_waits_a_moment_for_a_database_that_hangs(
    replica: Replica, hanging: Callable[[Replica], None]
) -> None:
    await add_provider(replica.client)
    hanging(replica)
    asking = [replica.client.get("/api/providers", headers={"Cache-Control": "no-cache"}) for _ in range(200)]
    async with asyncio.timeout(14):
        answers = await asyncio.gather(*asking)
    assert {(a.status_code, a.json()["count"]) for a in answers} == {(200, 1)}
    assert all("x-registry-stale" in a.headers for a in answers)


async def test_questions_about_the_log_never_hold_up_a_write(replica: Replica, database: psycopg.Connection) -> None:
    """While the log cannot be read at all, as many as like may ask: writes go on over connections of their own."""
    database.execute("select pg_advisory_lock(4711)")
    with _waiting_for_a_lock(database, "registry_writes(bigint, integer)"):
        asking = [asyncio.create_task(replica.client.get("/api/history?limit=1")) for _ in range(60)]
        hung = "select count(*) from pg_locks where locktype = 'advisory' and objid = 4711 and not granted"
        await happens(lambda: database.execute(hung).fetchone() == (LOG_CONNECTIONS,))
        await add_provider(replica.client)
        assert not any(task.done() for task in asking)
        database.execute("select pg_advisory_unlock_all()")
        assert {(await task).status_code for task in asking} == {200}


@contextmanager
def _waiting_for_a_lock(database: psycopg.Connection, function: str) -> Iterator[None]:
    """Make a function wait for the advisory lock 4711 before it answers that there is nothing."""
    row = database.execute("select pg_get_functiondef(%s::regprocedure)", [function]).fetchone()
    assert row is not None
    database.execute(
        "create or replace function registry_writes(before_revision bigint, page_size integer) returns json "
        "language plpgsql stable as 'begin perform pg_advisory_xact_lock_shared(4711); return ''{}''::json; end'"
    )
    try:
        yield
    finally:
        database.execute("select pg_advisory_unlock_all()")
        database.execute(row[0])


async def happens(look: Callable[[], bool]) -> None:
    """Wait until this is so."""

    async def seen() -> bool:
        return look()

    await until(seen)


async def test_large_lists_are_made_beside_the_others_and_not_too_many_at_once(
    replica: Replica, database: psycopg.Connection
) -> None:
    provider = await add_provider(replica.client)
    database.execute(
        "insert into models (provider_id, name, model_id) select %s, 'm' || i, 'm' || i from generate_series(1, 501) i",
        [provider["id"]],
    )
    await replica.client.get("/api/models/stats", headers={"Cache-Control": "no-cache"})
    lists, release = replica.state.work.lists, threading.Event()
    waiting = [asyncio.create_task(lists.run(release.wait)) for _ in range(33)]
    await happens(lambda: lists.busy == 33)
    try:
        for path in ("/api/models", "/v1/models"):
            assert "large lists" in problem(await replica.client.get(path), 429, "E4290")["detail"]
        assert (await replica.client.get("/api/models?limit=500")).status_code == 200
    finally:
        release.set()
        await asyncio.gather(*waiting)
    for path, rows in (("/api/models", "items"), ("/v1/models", "data")):
        assert len((await replica.client.get(path)).json()[rows]) == 501
