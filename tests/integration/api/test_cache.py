"""Cached responses: equal to fresh ones, with the same access checks, and never older than the snapshot."""

from __future__ import annotations

import gc
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_registry.api.cached_responses import BodyCache, CachedBody
from model_registry.snapshot.snapshot import Snapshot
from model_registry.snapshot.table import Table
from support.catalogue import add, add_mapping, add_model, add_provider, problem
from support.database import empty
from support.profiles import on_the_stack
from support.replica import ADMIN_KEY, Replica

StartReplica = Callable[..., Awaitable[Replica]]

NO_CACHE = {"Cache-Control": "no-cache"}

READS = (
    *("/api/providers", "/api/providers/p", "/api/providers?type=openai", "/api/providers?active=false"),
    *("/api/models", "/api/models?provider=p", "/api/models/m", "/api/models/a", "/api/models?limit=1&offset=1"),
    *("/api/aliases", "/api/aliases/a", "/api/functions", "/api/functions/s_f", "/api/functions/t/f"),
    *("/api/mappings", "/api/mappings?model=a", "/api/mappings?model=n", "/api/mappings/s", "/api/mappings/s/f/v"),
    *("/api/services", "/api/services/s/models", "/api/services/t/models", "/api/services/s/models?function=f"),
    *("/api/deployments", "/api/deployments/nodes", "/api/deployments?model=m", "/api/deployments/g/ollama/m"),
    *("/api/tensorzero/config", "/api/tensorzero/functions", "/api/tensorzero/omitted"),
)

_MAPPING = {"service_name": "s", "function_name": "f", "variant_name": "v", "model": "m"}
Write = tuple[str, str, dict[str, Any]]
WRITES: tuple[Write, ...] = (
    ("POST", "providers", {"name": "p", "type": "ollama", "api_base": "http://p/v1"}),
    ("POST", "providers", {"name": "q", "type": "openai"}),
    ("PATCH", "providers/p", {"api_base": "http://other/v1"}),
    ("PATCH", "providers/p", {"active": False}),
    ("PATCH", "providers/p", {"active": True}),
    ("PATCH", "providers/p", {"name": "r"}),
    ("DELETE", "providers/q", {}),
    ("POST", "models", {"name": "m", "model_id": "m", "provider": "p"}),
    ("POST", "models", {"name": "n", "model_id": "n", "provider": "p", "routing_priority": 1}),
    ("POST", "models", {"name": "m", "model_id": "x", "provider": "q", "model_type": "embedding"}),
    ("PATCH", "models/m", {"description": "d"}),
    ("PATCH", "models/m", {"name": "k"}),
    ("PATCH", "models/n", {"active": False}),
    ("DELETE", "models/m", {}),
    ("POST", "aliases", {"alias": "a", "model": "m", "context": "agents"}),
    ("PATCH", "aliases/a", {"model": "n"}),
    ("DELETE", "aliases/a", {}),
    ("POST", "mappings", _MAPPING),
    ("POST", "mappings", {**_MAPPING, "variant_name": "w", "model": "n", "priority": 2}),
    ("PATCH", "mappings/s/f/v", {"weight": 0.5}),
    ("PATCH", "functions/s_f", {"service_name": "t"}),
    ("PATCH", "functions/s_f", {"name": "nice"}),
    ("DELETE", "mappings/s/f/v", {}),
    ("POST", "deployments", {"node_id": "g", "provider_type": "ollama", "model_id": "m"}),
    ("POST", "deployments", {"node_id": "g", "provider_type": "ollama", "model_id": "m", "status": "unloaded"}),
)
STEPS = st.lists(st.integers(0, len(WRITES) - 1).map(WRITES.__getitem__), min_size=1, max_size=12)


@pytest.fixture
async def both(start_replica: StartReplica) -> tuple[Replica, Replica]:
    """A replica, and one without cached responses."""
    cached, fresh = [await start_replica(MODEL_REGISTRY_POLL_SECONDS=600) for _ in range(2)]
    fresh.app.state.bodies = BodyCache()  # the middleware does not read this one
    return cached, fresh


@on_the_stack()
@given(steps=STEPS, reads=st.lists(st.sampled_from(READS), min_size=3, max_size=6, unique=True))
async def test_an_answer_served_again_is_what_a_fresh_one_would_be(
    both: tuple[Replica, Replica], database_url: str, steps: list[Write], reads: list[str]
) -> None:
    """Regardless of the writes and reads in between, and of their order."""
    cached, fresh = (replica.client for replica in both)
    empty(database_url, "model_registry")
    await cached.get("/healthz", headers=NO_CACHE)
    for method, path, body in steps:
        await cached.request(method, f"/api/{path}", json=body)
        for read in reads:
            await cached.get(read)
            shown = await cached.get(read)
            expected = await fresh.get(read, headers=NO_CACHE)
            assert (shown.status_code, shown.content) == (expected.status_code, expected.content), read
            assert sorted(shown.headers.raw) == sorted(expected.headers.raw), read


async def test_answers_are_kept_while_they_hold(replica: Replica) -> None:
    await add_provider(replica.client)
    key = (b"/api/providers", b"limit=5")

    def kept() -> bool:
        return replica.app.state.bodies.get(key, replica.state.registry.snapshot) is not None

    await replica.client.get("/api/providers?limit=5")
    await add(replica.client, "functions", service_name="s", function_name="f")
    assert kept()
    await add_provider(replica.client, "p")
    assert not kept()


async def test_head_answers_like_get_without_the_body(replica: Replica, subtests: pytest.Subtests) -> None:
    await add_provider(replica.client)
    for path in (
        "/api/providers",
        "/api/providers/ollama_local",
        "/api/models/none",
        "/healthz",
        "/api/tensorzero/config",
    ):
        for name in ("fresh", "served again"):
            with subtests.test(path=path, answer=name):
                head = await replica.client.head(path)
                get = await replica.client.get(path)
                assert (head.status_code, head.content) == (get.status_code, b"")
                assert sorted(head.headers.raw) == sorted(get.headers.raw)


async def test_every_answer_carries_the_revision_it_was_made_at(replica: Replica, database: psycopg.Connection) -> None:
    made = await replica.client.post("/api/providers", json={"name": "p", "type": "openai"})
    row = database.execute("select max(revision) from registry_changes").fetchone()
    assert row is not None

    etag = (await replica.client.get("/api/providers")).headers["etag"]
    answers = [
        made,
        await replica.client.get("/api/providers"),
        await replica.client.get("/api/providers", headers={"If-None-Match": etag}),
        await replica.client.get("/api/providers/none"),
        await replica.client.get("/healthz"),
        await replica.client.post("/api/providers", json={}),
    ]

    assert [answer.status_code for answer in answers] == [201, 200, 304, 404, 200, 422]
    assert {answer.headers["x-registry-revision"] for answer in answers} == {str(row[0])}
    assert all("x-registry-stale" not in answer.headers for answer in answers)


async def test_no_cache_sees_what_psql_wrote_a_moment_ago(
    start_replica: StartReplica, database: psycopg.Connection
) -> None:
    replica = await start_replica(MODEL_REGISTRY_POLL_SECONDS=600)
    await replica.client.get("/api/providers")
    for i in range(3):
        database.execute("insert into model_providers (name, type) values (%s, 'openai')", [f"p{i}"])
        for header in ("no-cache", "max-age=0, No-Cache"):
            answer = await replica.client.get("/api/providers", headers={"Cache-Control": header})
            assert answer.json()["count"] == i + 1
    database.execute("delete from model_providers")

    assert (await replica.client.get("/api/providers")).json()["count"] == 3
    answer = await replica.client.get("/api/providers/p1", headers=NO_CACHE)
    problem(answer, 404, "E4004")


async def test_an_answer_belongs_to_its_whole_query(replica: Replica) -> None:
    for name in ("p", "q"):
        await add_provider(replica.client, name)

    found = [
        (await replica.client.get(f"/api/providers?{query}")).json()["items"]
        for query in ("limit=1", "limit=1&offset=1", "limit=2", "")
    ]

    assert [[row["name"] for row in rows] for rows in found] == [["p"], ["q"], ["p", "q"], ["p", "q"]]


async def test_where_reads_need_a_key_answers_served_again_do_too(start_replica: StartReplica) -> None:
    replica = await start_replica(MODEL_REGISTRY_AUTH_READS=True)
    await add_provider(replica.client)
    shown = await replica.client.get("/api/providers")
    assert shown.status_code == 200

    async with replica.anonymous() as anonymous:
        for headers, status in (
            ({}, 401),
            ({"If-None-Match": shown.headers["etag"]}, 401),
            ({"Authorization": "Bearer wrong"}, 401),
            ({"X-API-Key": "wrong"}, 401),
            ({"X-API-Key": ADMIN_KEY}, 200),
            ({"If-None-Match": shown.headers["etag"], "X-API-Key": ADMIN_KEY}, 304),
        ):
            answer = await anonymous.get("/api/providers", headers=headers)
            assert answer.status_code == status, headers
            assert status != 401 or b"ollama_local" not in answer.content
            head = await anonymous.head("/api/providers", headers=headers)
            assert (head.status_code, head.content) == (status, b"")
        assert (await anonymous.get("/healthz")).status_code == 200


async def test_a_wrong_key_is_refused_even_where_none_is_needed(replica: Replica) -> None:
    async with replica.anonymous() as anonymous:
        for _ in ("fresh", "served again"):
            for path in ("/api/providers", "/api/tensorzero/config"):
                problem(await anonymous.get(path, headers={"Authorization": "Bearer wrong"}), 401, "E4010")
                problem(await anonymous.get(path, headers={"X-API-Key": "wrong"}), 401, "E4010")
                assert (await anonymous.get(path)).status_code == 200


async def test_old_answers_do_not_keep_old_tables(replica: Replica) -> None:
    await add_provider(replica.client)

    def tables() -> int:
        gc.collect()
        return sum(isinstance(found, Table) for found in gc.get_objects())

    before = tables()
    for i in range(20):
        await replica.client.patch("/api/providers/ollama_local", json={"metadata": {"i": i}})
        await replica.client.get(f"/api/providers?limit={i + 1}")

    assert tables() <= before + 2


def test_the_cache_is_bounded_in_number_and_bytes() -> None:
    snapshot = Snapshot.empty()

    def body(size: int) -> CachedBody:
        return CachedBody((), "/", '"tag"', "text/plain", b"x" * size, ())

    cache = BodyCache(entries=3, size=100)
    for i in range(5):
        cache.put((b"/", b"%d" % i), body(10))
    assert [cache.get((b"/", b"%d" % i), snapshot) is not None for i in range(5)] == [False, False, True, True, True]

    cache.get((b"/", b"2"), snapshot)
    cache.put((b"/", b"new"), body(10))
    assert cache.get((b"/", b"2"), snapshot) is not None
    assert cache.get((b"/", b"3"), snapshot) is None

    for _ in range(3):
        cache.put((b"/", b"large"), body(50))
    assert cache.get((b"/", b"large"), snapshot) is not None
    cache.put((b"/", b"other"), body(50))
    cache.put((b"/", b"third"), body(50))
    assert cache.get((b"/", b"large"), snapshot) is None
    cache.put((b"/", b"too large"), body(51))
    assert cache.get((b"/", b"too large"), snapshot) is None


async def test_what_is_made_of_several_tables_falls_with_each_of_them(replica: Replica) -> None:
    client = replica.client
    await add_provider(client)
    await add_model(client, "m")
    await add_mapping(client, "s/f/v", "m")
    await add(client, "aliases", alias="usual", model="m", context="agents")

    async def found(path: str) -> httpx.Response:
        await client.get(path)
        return await client.get(path)

    assert (await found("/api/mappings?model=usual")).json()["count"] == 1
    await client.delete("/api/aliases/usual")
    problem(await found("/api/mappings?model=usual"), 404, "E4001")
