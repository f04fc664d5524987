"""The snapshot always equals the database, with any writers, and with another database at the same address."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from typing import Any

import psycopg
import pytest

from model_registry.entities.change import Change, Operation
from model_registry.errors import PreconditionFailed, RegistryError, StorageMisconfigured, StorageUnavailable
from model_registry.snapshot.snapshot import Snapshot
from model_registry.store.client import Database
from model_registry.store.registry import Registry
from model_registry.store.snapshot_file import SavedSnapshot
from support.catalogues import contents
from support.database import empty, fresh
from support.waiting import until

SCHEMA = "model_registry"


@pytest.fixture
async def registry(connection: Database) -> Registry:
    """A registry that has loaded the empty database, and polls only on request."""
    made = Registry(connection, origin="test")
    await made.refresh()
    return made


def provider(name: str, **columns: Any) -> Operation:
    """A new provider."""
    return Operation("model_providers", "insert", str(uuid.uuid4()), {"name": name, "type": "ollama", **columns})


def provider_names(registry: Registry) -> list[str]:
    return [row.name for row in registry.snapshot.providers]


async def test_writes_at_once_end_in_the_same_snapshot_whichever_answer_comes_first(
    registry: Registry, connection: Database
) -> None:
    revisions = await asyncio.gather(*(registry.write([provider(f"p{i}")], actor="a") for i in range(30)))

    assert len(set(revisions)) == 30
    assert registry.snapshot.revision == max(revisions)
    assert contents(registry.snapshot) == contents(await fresh(connection))


async def test_a_look_sees_what_was_committed_before_it_however_many_look_at_once(
    registry: Registry, database: psycopg.Connection
) -> None:
    async def commit_and_look(i: int) -> None:
        await asyncio.sleep(i / 1000)
        database.execute("insert into model_providers (name, type) values (%s, 'openai')", [f"p{i}"])
        await registry.refresh()
        assert f"p{i}" in provider_names(registry)

    await asyncio.gather(*(commit_and_look(i) for i in range(20)))


class Gate(Database):
    """PostgREST behind a gate: a call is answered once it is let through."""

    def __init__(self, connection: Database) -> None:
        self._connection = connection
        self.waiting: list[asyncio.Event] = []

    async def call(self, function: str, **arguments: Any) -> Any:
        gate = asyncio.Event()
        self.waiting.append(gate)
        await gate.wait()
        return await self._connection.call(function, **arguments)


async def test_who_waited_for_a_look_that_was_cancelled_looks_again(
    connection: Database, database: psycopg.Connection
) -> None:
    gate = Gate(connection)
    registry = Registry(gate, origin="test")
    registry.restore(SavedSnapshot(await fresh(connection), 0.0))
    first, second, third = (asyncio.create_task(registry.refresh()) for _ in range(3))
    await until(lambda: _true(gate.waiting))
    database.execute("insert into model_providers (name, type) values ('p', 'openai')")

    gate.waiting.pop().set()
    await first
    await until(lambda: _true(gate.waiting))
    second.cancel()  # its caller has gone
    gate.waiting.pop()
    await until(lambda: _true(gate.waiting or third.done()))
    database.execute("insert into model_providers (name, type) values ('q', 'openai')")
    gate.waiting.pop().set()
    await third

    assert provider_names(registry) == ["p", "q"]


async def _true(value: object) -> bool:
    return bool(value)


async def test_every_caller_of_a_look_that_failed_is_told(stack: Any, registry: Registry) -> None:
    stack.postgrest.kill()
    try:
        outcomes = await asyncio.gather(*(registry.refresh() for _ in range(5)), return_exceptions=True)
    finally:
        await asyncio.to_thread(stack.postgrest.start)

    assert [type(outcome) for outcome in outcomes] == [StorageUnavailable] * 5
    assert registry.stale_seconds() is not None
    await registry.refresh()
    assert registry.stale_seconds() is None


async def test_another_database_behind_the_address_is_loaded_anew(
    registry: Registry, database_url: str, database: psycopg.Connection
) -> None:
    for name in ("old", "older"):
        await registry.write([provider(name)], actor="a")
    empty(database_url, SCHEMA)
    database.execute("insert into model_providers (name, type) values ('new', 'openai')")

    await registry.refresh()

    assert provider_names(registry) == ["new"]


async def test_a_write_to_another_database_behind_the_address_is_seen_and_nothing_of_the_old_one(
    registry: Registry, connection: Database, database_url: str, database: psycopg.Connection
) -> None:
    for name in ("old", "older"):
        await registry.write([provider(name)], actor="a")
    empty(database_url, SCHEMA)
    database.execute("insert into model_providers (name, type) values ('new', 'openai')")

    await registry.write([provider("newest")], actor="a")

    assert provider_names(registry) == ["new", "newest"]
    assert contents(registry.snapshot) == contents(await fresh(connection))


async def test_a_database_that_went_back_to_a_backup_is_loaded_anew(
    registry: Registry, database: psycopg.Connection
) -> None:
    for name in ("kept", "lost"):
        await registry.write([provider(name)], actor="a")
    _restore_backup(database)

    await registry.refresh()

    assert provider_names(registry) == ["kept"]


async def test_a_write_to_a_database_that_went_back_to_a_backup_is_seen(
    registry: Registry, database: psycopg.Connection
) -> None:
    for name in ("kept", "lost", "lost too"):
        await registry.write([provider(name)], actor="a")
    _restore_backup(database)

    await registry.write([provider("new")], actor="a")

    assert provider_names(registry) == ["kept", "new"]


def _restore_backup(database: psycopg.Connection) -> None:
    """Only what the first write did is left, the sequence of revisions included."""
    database.execute("set session_replication_role = replica")
    database.execute("delete from model_providers where name like 'lost%'")
    database.execute("delete from registry_changes where revision > (select min(revision) from registry_changes)")
    database.execute("select setval('registry_revision', (select max(revision) from registry_changes))")
    database.execute("set session_replication_role = origin")


async def test_a_write_in_several_steps_happens_whole_or_not_at_all(registry: Registry, connection: Database) -> None:
    good, second = provider("p"), provider("q")
    before = registry.snapshot.revision

    with pytest.raises(RegistryError):
        await registry.write([good, second, provider("p")], actor="a")
    with pytest.raises(PreconditionFailed):
        await registry.write([good, Operation("model_providers", "update", good.id, {"active": False}, 7)], actor="a")
    await registry.refresh()
    assert (provider_names(registry), registry.snapshot.revision) == ([], before)

    await registry.write([good, second, Operation("model_providers", "update", good.id, {"name": "r"}, 1)], actor="a")
    assert provider_names(registry) == ["q", "r"]
    assert contents(registry.snapshot) == contents(await fresh(connection))


async def test_listeners_hear_of_every_change_once_and_in_order(
    registry: Registry, database: psycopg.Connection
) -> None:
    heard: list[int] = []

    def listen(before: Snapshot, after: Snapshot, changes: Sequence[Change]) -> None:
        assert before.revision < after.revision == changes[-1].revision
        heard.extend(change.revision for change in changes)

    registry.stepped.observe(listen)
    for i in range(5):
        database.execute("insert into model_providers (name, type) values (%s, 'openai')", [f"sql {i}"])
        await asyncio.gather(registry.refresh(), *(registry.write([provider(f"{i} {j}")], actor="a") for j in range(4)))

    row = database.execute("select array_agg(revision order by revision) from registry_changes").fetchone()
    assert row is not None
    assert heard == row[0]


async def test_a_preview_changes_nothing(registry: Registry) -> None:
    await registry.write([provider("p")], actor="a")
    before = contents(registry.snapshot)

    preview = registry.snapshot.preview(
        [provider("q"), Operation("model_providers", "delete", registry.snapshot.providers.where("name", "p")[0].id)]
    )

    assert [row.name for row in preview.providers] == ["q"]
    assert contents(registry.snapshot) == before


async def test_a_row_that_this_version_cannot_read_is_reported_and_does_not_stop_the_reading(
    registry: Registry, database: psycopg.Connection
) -> None:
    await registry.write([provider("p")], actor="a")
    poison = """insert into registry_changes (revision, actor, table_name, row_id, operation, after)
        values (nextval('registry_revision'), 'a', 'models', gen_random_uuid(), 'insert', '{"id": 1}')"""
    database.execute(poison)

    for _ in range(2):
        with pytest.raises(StorageMisconfigured, match="upgrade"):
            await registry.refresh()
    assert provider_names(registry) == ["p"]
    assert registry.stale_seconds() is not None

    database.execute("delete from registry_changes where after = '{\"id\": 1}'")
    await registry.refresh()
    assert registry.stale_seconds() is None
