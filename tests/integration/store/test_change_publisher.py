"""`model.registry.updated.v1`: every change is announced in the documented form; replicas receive it."""

from __future__ import annotations

import time
from typing import Any

import orjson
import psycopg
import pytest
from nats.aio.msg import Msg

from model_registry.background.change_publisher import RESOURCES
from model_registry.messaging.subjects import LOADED, UPDATED
from model_registry.selection.list_filters import PUBLIC_TABLES
from support.catalogue import add, add_mapping, add_model, add_provider
from support.fleet import Fleet, consuming, fleet_on
from support.nats_server import NatsServer
from support.replica import Replica
from support.waiting import LONGEST, until

Announcement = dict[str, Any]


def test_no_table_changes_in_silence() -> None:
    assert set(RESOURCES) == set(PUBLIC_TABLES)


class Ears:
    """Everything that is announced."""

    def __init__(self) -> None:
        self.heard: list[Announcement] = []

    async def hear(self, message: Msg) -> None:
        self.heard.append(orjson.loads(message.data))

    async def until(self, number: int) -> list[Announcement]:
        async def look() -> bool:
            return len(self.heard) >= number

        await until(look)
        return self.heard

    def told(self) -> list[tuple[str, str]]:
        return [(one["resource_type"], one["action"]) for one in self.heard]


@pytest.fixture
async def ears(fleet: Fleet) -> Ears:
    listening = Ears()
    await fleet.client.subscribe(UPDATED, cb=listening.hear)
    await fleet.client.flush()
    return listening


@pytest.fixture
async def pair(start_replica: Any, nats_url: str) -> tuple[Replica, Replica]:
    """Two services that poll the database so rarely that only NATS can notify them in time."""
    first = await start_replica(NATS_URL=nats_url, MODEL_REGISTRY_POLL_SECONDS=60)
    second = await start_replica(NATS_URL=nats_url, MODEL_REGISTRY_POLL_SECONDS=60)
    await consuming(first, second)
    return first, second


async def test_every_kind_of_row_is_announced_when_it_is_created_updated_and_deleted(
    ears: Ears, consumer: Replica
) -> None:
    client = consumer.client
    provider = await add_provider(client)
    model = await add_model(client, "qwen")
    alias = await add(client, "aliases", alias="fast", model="qwen")
    function = await add(client, "functions", service_name="chat", function_name="main")
    mapping = await add_mapping(client, "chat/main/default", "qwen")
    rows = {"provider": provider, "model": model, "alias": alias, "function": function, "mapping": mapping}
    plurals = {kind: f"{kind}{'es' if kind == 'alias' else 's'}" for kind in rows}
    changes = {"provider": {"active": False}, "alias": {"alias": "faster"}, "mapping": {"weight": 2}}
    for kind, row in rows.items():
        change = changes.get(kind, {"description": "changed"})
        assert (await client.patch(f"/api/{plurals[kind]}/{row['id']}", json=change)).status_code == 200
    for kind, row in reversed(rows.items()):
        assert (await client.delete(f"/api/{plurals[kind]}/{row['id']}")).is_success

    heard = await ears.until(15)

    assert ears.told() == [
        *((kind, "created") for kind in rows),
        *((kind, "updated") for kind in rows),
        *((kind, "deleted") for kind in reversed(rows)),
    ]
    assert all(one["resource_id"] == rows[one["resource_type"]]["id"] for one in heard)
    assert [one["revision"] for one in heard] == sorted({one["revision"] for one in heard})
    assert heard[-1]["revision"] == consumer.state.registry.snapshot.revision


async def test_an_announcement_has_the_agreed_shape(ears: Ears, consumer: Replica) -> None:
    provider = await add_provider(consumer.client)

    (announcement,) = await ears.until(1)

    when = announcement.pop("ts")
    assert isinstance(when, int)
    assert abs(when - time.time()) < 60
    assert announcement == {
        "type": "model.registry.updated.v1",
        "action": "created",
        "resource_type": "provider",
        "resource_id": provider["id"],
        "revision": consumer.state.registry.snapshot.revision,
    }


@pytest.mark.usefixtures("consumer")
async def test_what_gpu_nodes_say_is_announced_once_and_a_heartbeat_is_not(ears: Ears, fleet: Fleet) -> None:
    for moment in (1772000000, 1772000005, 1772000010):
        status = {"ollama/qwen": {"vram_mb": 10, "state": "loaded", "loaded_at": "2026-02-25T06:00:00"}}
        await fleet.say("mesh.gpu.status.v1", {"data": {"loaded_models": status}, "ts": moment})
        await fleet.settled()
    await fleet.say(LOADED, {"model_key": "ollama/qwen", "vram_mb": 12, "ts": 1772000015})
    await ears.until(3)

    assert ears.told() == [("node", "created"), ("deployment", "created"), ("deployment", "updated")]


async def test_rows_changed_in_sql_are_announced_too_but_keys_never(
    ears: Ears, consumer: Replica, database: psycopg.Connection
) -> None:
    database.execute("insert into api_keys (name, key_hash, scopes) values ('k', repeat('a', 64), '[\"read\"]')")
    database.execute("insert into config_sections (name, value) values ('gateway', '{}')")
    database.execute("insert into config_files (path, content) values ('a.minijinja', 'hello')")
    database.execute("insert into gpu_nodes (node_id) values ('gpu-a')")
    database.execute("update api_keys set revoked_at = now()")
    database.execute("update config_sections set value = '{\"a\": 1}'")
    database.execute("update gpu_nodes set last_seen_at = now()")  # a heartbeat
    database.execute("delete from api_keys")
    database.execute("delete from config_files")

    await ears.until(5)

    assert ears.told() == [
        ("config_section", "created"),
        ("config_file", "created"),
        ("node", "created"),
        ("config_section", "updated"),
        ("config_file", "deleted"),
    ]
    assert consumer.state.registry.last_error is None


async def test_two_replicas_hear_each_other_and_do_not_echo(
    ears: Ears, pair: tuple[Replica, Replica], database: psycopg.Connection
) -> None:
    """One announcement of a replica's own change; one from each replica of a change without an origin."""
    first, second = pair
    await add_provider(first.client, "one")
    await until_seen(second, 1)
    await add_provider(second.client, "two")
    await until_seen(first, 2)
    await ears.until(2)

    database.execute("insert into model_providers (name, type) values ('three', 'custom')")
    await add_provider(first.client, "four")
    await until_seen(first, 4)
    await until_seen(second, 4)
    await add_provider(second.client, "five")
    await until_seen(first, 5)
    await ears.until(6)

    names = {p.id: p.name for p in first.state.registry.snapshot.providers}
    told = sorted(names[one["resource_id"]] for one in ears.heard)
    assert told == ["five", "four", "one", "three", "three", "two"]


async def until_seen(replica: Replica, providers: int) -> None:
    async def look() -> bool:
        return len(replica.state.registry.snapshot.providers) == providers

    await until(look, 5)


async def test_a_message_of_somebody_else_makes_replicas_look_and_nonsense_does_no_harm(
    fleet: Fleet, pair: tuple[Replica, Replica], database: psycopg.Connection
) -> None:
    for nonsense in (b"", b"\xff", b"[" * 900, b"null", b"[1]", b'{"revision": "x"}', b'{"revision": 1e30}'):
        await fleet.client.publish(UPDATED, nonsense)
    await fleet.client.flush()
    for replica in pair:
        await until_seen(replica, 0)

    database.execute("insert into model_providers (name, type) values ('three', 'custom')")
    await fleet.say(
        UPDATED, {"type": UPDATED, "action": "updated", "resource_type": "model", "resource_id": "x", "ts": 1}
    )

    for replica in pair:
        await until_seen(replica, 1)


async def test_what_changes_while_nats_is_away_is_announced_when_it_is_back(
    nats_server: NatsServer, start_replica: Any
) -> None:
    """Stored in a stream here, so that it does not matter whether the publisher or the listener reconnects first."""
    replica: Replica = await start_replica(NATS_URL=nats_server.url)
    await consuming(replica)
    async with fleet_on(nats_server.url) as fleet:
        await fleet.js.add_stream(name="UPDATES", subjects=[UPDATED])
        nats_server.kill()
        await add_provider(replica.client)
        await add_model(replica.client, "qwen")
        nats_server.start()
        await add_model(replica.client, "gemma")

        async def all_kept() -> bool:
            return (await fleet.js.stream_info("UPDATES")).state.messages == 3

        await until(all_kept)
        updates = await fleet.js.pull_subscribe(UPDATED, stream="UPDATES")
        told = [orjson.loads(message.data)["resource_type"] for message in await updates.fetch(3, timeout=LONGEST)]

    assert told == ["provider", "model", "model"]
