"""The database is unavailable in every way: reads continue, writes report it, and everything recovers."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import httpx2
import psycopg
import pytest

from model_registry.store import client as store_client
from support.catalogue import add_mapping, add_model, add_provider, get, names, problem
from support.database import empty
from support.replica import Replica, running_replica
from support.waiting import until

StartReplica = Callable[..., Awaitable[Replica]]

SCHEMA = "model_registry"
READS = ("/api/models", "/api/models/m", "/api/services/s/models", "/api/tensorzero/config", "/api/providers?limit=1")
NO_CACHE = {"Cache-Control": "no-cache"}


@asynccontextmanager
async def away(part: Any) -> AsyncIterator[None]:
    """Kill a component of the stack and restart it in any case, in a thread, while callers continue."""
    part.kill()
    try:
        yield
    finally:
        await asyncio.to_thread(part.start)


@dataclass
class Reads:
    """The responses to callers that read all the time."""

    statuses: Counter[int] = field(default_factory=Counter)
    stale: int = 0
    number: int = 0

    async def many_stale(self) -> bool:
        """Whether enough of them were answered without the database."""
        return self.stale > 100

    async def go_on(self) -> None:
        """Wait until the readers have had many more responses, which shows that they are not delayed."""
        enough = self.number + 10 * (len(READS) + 1)

        async def read_on() -> bool:
            return self.number > enough

        await until(read_on)

    def saw(self, answer: httpx.Response) -> None:
        self.statuses[answer.status_code] += 1
        self.stale += "x-registry-stale" in answer.headers
        self.number += 1


@asynccontextmanager
async def reading(client: httpx.AsyncClient) -> AsyncIterator[Reads]:
    """Read without a pause, as several callers at once."""
    seen = Reads()

    async def go_on(path: str, headers: dict[str, str]) -> None:
        while True:
            seen.saw(await client.get(path, headers=headers))
            await asyncio.sleep(0.002)

    tasks = [asyncio.create_task(go_on(path, {})) for path in READS]
    tasks.append(asyncio.create_task(go_on("/api/models", NO_CACHE)))
    try:
        yield seen
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task


async def catalogue(client: httpx.AsyncClient) -> None:
    await add_provider(client)
    await add_model(client, "m")
    await add_mapping(client, "s/f/v", "m")


def writer(client: httpx.AsyncClient) -> Callable[[], Awaitable[httpx.Response | None]]:
    """Try to write; the answer once it was done, for `until`."""
    number = 0

    async def write() -> httpx.Response | None:
        nonlocal number
        number += 1
        answer = await client.post("/api/providers", json={"name": f"p{number}", "type": "openai"})
        assert answer.status_code in (201, 503), answer.text
        return answer if answer.status_code == 201 else None

    return write


@pytest.mark.parametrize("part", ["postgrest", "postgres"])
async def test_while_the_database_restarts_no_read_fails_and_writes_are_told_to_wait(
    stack: Any, replica: Replica, part: str
) -> None:
    client = replica.client
    await catalogue(client)
    stopped = getattr(stack, part)
    async with reading(client) as seen:
        async with away(stopped):
            for method, path, body in (
                ("POST", "/api/providers", {"name": "new", "type": "openai"}),
                ("PATCH", "/api/models/m", {"name": "new"}),
                ("DELETE", "/api/mappings/s/f/v", None),
            ):
                answer = await client.request(method, path, json=body)
                problem(answer, 503, "E5030")
                assert int(answer.headers["retry-after"]) > 0
            answer = await client.get("/api/changes")  # the log is not part of the snapshot
            assert answer.status_code == 503
            ready = await get(client, "/readyz")
            assert (ready["status"], ready["dependencies"]["database"]["status"]) == ("degraded", "down")
            await until(seen.many_stale)
        done = await until(writer(client))
        assert done is not None

    assert set(seen.statuses) == {200}
    assert (await client.get(done.headers["location"])).status_code == 200
    assert "x-registry-stale" not in done.headers
    assert (await get(client, "/readyz"))["status"] == "ready"
    # No write that was answered with "try again" has been committed after all.
    assert await names(client, "/api/models") == ["m"]
    assert await names(client, "/api/mappings", "variant_name") == ["v"]
    fresh = await client.get("/api/providers", headers=NO_CACHE)
    assert "new" not in [row["name"] for row in fresh.json()["items"]]


async def test_many_writes_that_fail_at_once_fail_soon(stack: Any, replica: Replica) -> None:
    await catalogue(replica.client)
    async with away(stack.postgrest):
        bodies = [{"name": f"p{i}", "type": "openai"} for i in range(50)]
        answers = await asyncio.gather(*(replica.client.post("/api/providers", json=body) for body in bodies))

    assert {answer.status_code for answer in answers} == {503}


@contextmanager
def frozen(part: Any) -> Iterator[None]:
    """A component that accepts connections but does not respond, which is worse than one that is down."""
    os.kill(part.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(part.pid, signal.SIGCONT)


async def test_a_database_that_hangs_holds_up_nobody_for_long(
    stack: Any, start_replica: StartReplica, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_client, "TIMEOUT", httpx2.Timeout(0.5))
    replica = await start_replica()
    await catalogue(replica.client)
    async with reading(replica.client) as seen:
        with frozen(stack.postgrest):
            problem(await replica.client.post("/api/providers", json={"name": "new", "type": "openai"}), 503, "E5030")
            assert (await replica.client.get("/api/models/m", headers=NO_CACHE)).status_code == 200
            await seen.go_on()
            assert (await replica.client.get("/api/models/m")).headers["x-registry-stale"]
        await until(writer(replica.client))

    assert set(seen.statuses) == {200}


async def test_a_service_that_starts_without_the_database_serves_the_last_snapshot_and_says_so(
    stack: Any, environment: dict[str, Any]
) -> None:
    async with running_replica(environment) as before:
        await catalogue(before.client)
        shown = {path: (await before.client.get(path)) for path in READS}

    async with away(stack.postgrest), running_replica(environment) as after:
        for path, expected in shown.items():
            answer = await after.client.get(path)
            assert (answer.status_code, answer.content) == (200, expected.content)
            assert answer.headers["etag"] == expected.headers["etag"]
            assert answer.headers["x-registry-revision"] == expected.headers["x-registry-revision"]
            assert 0 <= int(answer.headers["x-registry-stale"]) < 60
        problem(await after.client.post("/api/providers", json={"name": "p", "type": "openai"}), 503, "E5030")
        ready = await after.client.get("/readyz")
        assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
        assert "snapshot" in ready.json()["dependencies"]["database"]["detail"]

        await asyncio.to_thread(stack.postgrest.start)
        await until(writer(after.client))
        assert "x-registry-stale" not in (await after.client.get("/api/models")).headers
        assert (await get(after.client, "/readyz"))["status"] == "ready"


async def test_a_snapshot_is_on_disk_soon_after_a_change_and_not_only_at_the_end(
    start_replica: StartReplica, environment: dict[str, Any]
) -> None:
    cache: Path = environment["MODEL_REGISTRY_CACHE_DIR"]
    replica = await start_replica(MODEL_REGISTRY_CACHE_DIR=cache)
    await add_provider(replica.client, "a provider that must not be lost")

    async def kept() -> bool:
        return await asyncio.to_thread(
            lambda: any(b"must not be lost" in file.read_bytes() for file in cache.glob("*.json"))
        )

    await until(kept, 10)


async def test_a_service_that_starts_with_nothing_waits_for_the_database_and_then_serves(
    stack: Any, start_replica: StartReplica
) -> None:
    async with away(stack.postgrest):
        replica = await start_replica()
        for path in (*READS, "/api/changes", "/api/deployments/nodes"):
            answer = await replica.client.get(path)
            problem(answer, 503, "E5030")
            assert answer.headers["retry-after"]
            assert "x-registry-revision" not in answer.headers
        problem(await replica.client.post("/api/providers", json={"name": "p", "type": "openai"}), 503, "E5030")
        assert (await replica.client.get("/healthz")).status_code == 200
        assert (await replica.client.get("/metrics")).status_code == 200
        ready = await replica.client.get("/readyz")
        assert (ready.status_code, ready.json()["status"], ready.json()["revision"]) == (503, "not ready", None)

        await asyncio.to_thread(stack.postgrest.start)

        async def ready_now() -> bool:
            return (await replica.client.get("/readyz")).status_code == 200

        await until(ready_now)
        await catalogue(replica.client)
        assert (await replica.client.get("/api/models/m")).status_code == 200


async def test_a_damaged_snapshot_is_no_reason_not_to_start(stack: Any, environment: dict[str, Any]) -> None:
    async with running_replica(environment) as before:
        await catalogue(before.client)
    file = environment["MODEL_REGISTRY_CACHE_DIR"] / "snapshot.json"
    file.write_bytes(file.read_bytes()[:-200])

    async with away(stack.postgrest), running_replica(environment) as after:
        assert (await after.client.get("/api/models")).status_code == 503
    async with running_replica(environment) as after:
        assert await names(after.client, "/api/models") == ["m"]


async def test_a_snapshot_of_what_was_another_database_is_replaced_at_the_start(
    environment: dict[str, Any], database_url: str
) -> None:
    async with running_replica(environment) as before:
        await catalogue(before.client)
    empty(database_url, SCHEMA)

    async with running_replica(environment) as after:
        assert await names(after.client, "/api/models") == []
        await add_provider(after.client, "p")

    async with running_replica(environment) as again:
        assert await names(again.client, "/api/providers") == ["p"]


async def test_a_database_that_was_replaced_while_it_was_away_is_loaded_anew(
    stack: Any, replica: Replica, database_url: str, database: psycopg.Connection
) -> None:
    await catalogue(replica.client)
    async with away(stack.postgrest):
        empty(database_url, SCHEMA)
        database.execute("insert into model_providers (name, type) values ('of another database', 'openai')")
        assert await names(replica.client, "/api/models") == ["m"]

    async def changed() -> bool:
        return await names(replica.client, "/api/providers") == ["of another database"]

    await until(changed)
    assert await names(replica.client, "/api/models") == []


async def test_after_a_write_that_was_cut_off_the_registry_shows_what_the_database_holds(
    stack: Any, replica: Replica, database: psycopg.Connection
) -> None:
    await catalogue(replica.client)
    async with away(stack.postgrest):
        pass
    await until(writer(replica.client))
    with database.transaction():
        database.execute("select registry_lock()")
        write = asyncio.create_task(replica.client.post("/api/providers", json={"name": "cut", "type": "openai"}))

        async def waits() -> bool:
            query = "select count(*) from pg_stat_activity where wait_event = 'advisory'"
            row = database.execute(query).fetchone()
            return row is not None and row[0] > 0

        await until(waits)
        async with away(stack.postgrest):
            problem(await write, 503, "E5030")

    async def settled() -> bool:
        shown = await names(replica.client, "/api/providers")
        held = [
            row[0] for row in database.execute('select name from model_providers order by name collate "C"').fetchall()
        ]
        return shown == held and "x-registry-stale" not in (await replica.client.get("/healthz")).headers

    await until(settled)


async def test_a_bug_in_a_worker_is_counted_and_the_worker_goes_on(
    start_replica: StartReplica, monkeypatch: pytest.MonkeyPatch, database: psycopg.Connection
) -> None:
    replica = await start_replica(MODEL_REGISTRY_POLL_SECONDS=0.05)
    registry, refresh = replica.state.registry, replica.state.registry.refresh

    async def fails() -> None:
        monkeypatch.setattr(registry, "refresh", refresh)
        raise AssertionError

    monkeypatch.setattr(registry, "refresh", fails)

    async def counted() -> bool:
        name, labels = "model_registry_worker_failures_total", {"worker": "refresher"}
        return replica.state.metrics.collected.get_sample_value(name, labels) == 1

    await until(counted)
    database.execute("insert into model_providers (name, type) values ('in sql', 'openai')")

    async def seen() -> bool:
        return bool(registry.snapshot.providers.where("name", "in sql"))

    await until(seen)
