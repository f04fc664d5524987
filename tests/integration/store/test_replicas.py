"""Several services on one database: each reads the others' writes, at once with NATS and soon without it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import nats
import psycopg
import pytest

from model_registry.settings import Settings
from support.catalogue import add_mapping, add_model, add_provider, get, names, problem
from support.catalogues import contents
from support.nats_server import NatsServer
from support.replica import Replica
from support.waiting import until

StartReplica = Callable[..., Awaitable[Replica]]

NEVER = {"MODEL_REGISTRY_POLL_SECONDS": 3600}
"""No polling: changes become visible only through notifications."""


async def seen(client: httpx.AsyncClient, path: str) -> None:
    """Wait until a path answers 200."""

    async def there() -> bool:
        return (await client.get(path)).status_code == 200

    await until(there)


async def connected(replica: Replica) -> None:
    """Wait until the replica receives announcements of others."""

    async def ready() -> bool:
        health = replica.state.events.health() if replica.state.events else ("off", "")
        return health[0] == "ok"

    await until(ready)


async def test_without_nats_others_see_a_write_within_a_second(start_replica: StartReplica) -> None:
    """By polling, as often as the settings say when nobody has set anything."""
    usual = Settings.model_fields["poll_seconds"].default
    one, other = [await start_replica(MODEL_REGISTRY_POLL_SECONDS=usual) for _ in range(2)]

    await add_provider(one.client)
    await seen(other.client, "/api/providers/ollama_local")

    assert usual <= 1


async def test_a_replica_sees_its_own_writes_at_once(start_replica: StartReplica) -> None:
    replica = await start_replica(**NEVER)

    for i in range(5):
        made = await add_provider(replica.client, f"p{i}")
        assert await get(replica.client, f"/api/providers/p{i}") == made
        assert (await get(replica.client, "/api/providers"))["count"] == i + 1


async def test_a_replica_that_writes_sees_what_others_wrote_before_it(
    start_replica: StartReplica, database: psycopg.Connection
) -> None:
    one, other = [await start_replica(**NEVER) for _ in range(2)]
    await add_provider(one.client, "by one")
    database.execute("insert into model_providers (name, type) values ('by psql', 'openai')")

    await add_provider(other.client, "by other")

    assert await names(other.client, "/api/providers") == ["by one", "by other", "by psql"]


async def test_with_nats_others_see_every_kind_of_change_at_once(start_replica: StartReplica, nats_url: str) -> None:
    one, other = [await start_replica(NATS_URL=nats_url, **NEVER) for _ in range(2)]
    await connected(one)
    await connected(other)

    await add_provider(one.client)
    await add_model(one.client, "m")
    await add_mapping(one.client, "s/f/v", "m")
    await seen(other.client, "/api/services/s/models")
    await one.client.patch("/api/models/m", json={"name": "n"})
    await seen(other.client, "/api/models/n")
    await one.client.delete("/api/mappings/s/f/v")

    async def gone() -> bool:
        return await names(other.client, "/api/mappings", "variant_name") == []

    await until(gone)
    report = {"node_id": "gpu-1", "provider_type": "ollama", "model_id": "m"}
    assert (await one.client.post("/api/deployments", json=report)).status_code == 201
    await seen(other.client, "/api/deployments/gpu-1/ollama/m")
    assert contents(one.state.registry.snapshot) == contents(other.state.registry.snapshot)


async def test_equal_snapshots_give_equal_answers_with_equal_tags(start_replica: StartReplica, nats_url: str) -> None:
    one, other = [await start_replica(NATS_URL=nats_url, **NEVER) for _ in range(2)]
    await connected(other)
    for i in range(3):
        await add_provider(one.client, f"p{i}")
        await add_model(one.client, f"m{i}", f"p{i}")
        await add_mapping(one.client, f"s/f/v{i}", f"m{i}")
    await seen(other.client, "/api/mappings/s/f/v2")

    for path in (
        "/api/models",
        "/api/providers/p1",
        "/api/services/s/models",
        "/api/tensorzero/config",
        "/api/mappings/s",
    ):
        answers = [await replica.client.get(path) for replica in (one, other)]
        assert answers[0].content == answers[1].content, path
        assert answers[0].headers["etag"] == answers[1].headers["etag"], path


async def test_replicas_that_write_at_once_end_in_the_same_state(start_replica: StartReplica, nats_url: str) -> None:
    replicas = [await start_replica(NATS_URL=nats_url, **NEVER) for _ in range(3)]
    for replica in replicas:
        await connected(replica)
    await add_provider(replicas[0].client)
    for replica in replicas:
        await seen(replica.client, "/api/providers/ollama_local")

    async def write(number: int) -> None:
        for i in range(10):
            client = replicas[(number + i) % 3].client
            await add_model(client, f"m{number}.{i}")
            # Any of these may be overtaken by another write, and planned again.
            answer = await client.patch("/api/providers/ollama_local", json={"metadata": {"last": [number, i]}})
            assert answer.status_code == 200

    await asyncio.gather(*(write(number) for number in range(3)))

    async def alike() -> bool:
        return len({replica.state.registry.snapshot.revision for replica in replicas}) == 1

    await until(alike)
    states = [contents(replica.state.registry.snapshot) for replica in replicas]
    assert states[0] == states[1] == states[2]
    assert states[0]["models"]["number"] == 30


async def test_while_nats_is_away_replicas_poll_and_then_hear_again(
    start_replica: StartReplica, nats_server: NatsServer
) -> None:
    settings: dict[str, Any] = {"NATS_URL": nats_server.url, "MODEL_REGISTRY_POLL_SECONDS": 0.2}
    one, other = [await start_replica(**settings) for _ in range(2)]
    deaf = await start_replica(**{**settings, **NEVER})
    for replica in (one, other, deaf):
        await connected(replica)

    nats_server.kill()
    await add_provider(one.client, "while away")
    await seen(other.client, "/api/providers/while%20away")
    problem(await deaf.client.get("/api/providers/while away"), 404, "E4004")

    await asyncio.to_thread(nats_server.start)

    async def heard() -> bool:
        await one.client.patch("/api/providers/while away", json={"metadata": {"at": time.time()}})
        return (await deaf.client.get("/api/providers/while away")).status_code == 200

    await until(heard)


async def test_what_others_say_on_the_subject_does_no_harm(start_replica: StartReplica, nats_url: str) -> None:
    replica = await start_replica(NATS_URL=nats_url, **NEVER)
    await connected(replica)
    client = await nats.connect(nats_url)
    for payload in (
        b"",
        b"{",
        b"[]",
        b'{"revision": "x"}',
        b'{"revision": -1}',
        b'{"revision": 1e400}',
        b"\xff" * 1000,
    ):
        await client.publish("model.registry.updated.v1", payload)
    await client.flush()
    await client.close()

    made = await add_provider(replica.client)
    assert await get(replica.client, "/api/providers/ollama_local") == made
    assert (await get(replica.client, "/readyz"))["dependencies"]["database"]["status"] == "ok"


@pytest.mark.parametrize("revision", ["none", "its own"])
async def test_a_message_of_somebody_who_writes_past_the_service_is_looked_into(
    start_replica: StartReplica, nats_url: str, database: psycopg.Connection, revision: str
) -> None:
    """Programs that write through PostgREST may publish the message themselves; they know no revision."""
    replica = await start_replica(NATS_URL=nats_url, **NEVER)
    await connected(replica)
    await get(replica.client, "/api/providers")
    database.execute("insert into model_providers (name, type) values ('p', 'openai')")
    number = database.execute("select max(revision) from registry_changes").fetchone()
    assert number is not None
    said = f', "revision": {number[0]}' if revision == "its own" else ""

    client = await nats.connect(nats_url)
    await client.publish("model.registry.updated.v1", f'{{"action": "created"{said}}}'.encode())
    await client.close()

    await seen(replica.client, "/api/providers/p")
