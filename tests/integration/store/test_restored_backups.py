"""A database restored from a backup and written again: a revision number is used twice, for different changes."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import psycopg
import pytest

from backups import Dumps
from model_registry.entities.change import Operation
from model_registry.entities.deployment import DeploymentEvent
from model_registry.errors import PreconditionFailed
from model_registry.snapshot.snapshot import Snapshot
from model_registry.store.client import Database
from model_registry.store.registry import Registry
from model_registry.store.snapshot_file import SnapshotFile
from support.catalogue import add_provider, get, problem
from support.catalogues import contents
from support.replica import Replica
from support.waiting import until

SCHEMA = "model_registry"
NEVER = 3600.0
StartReplica = Callable[..., Awaitable[Replica]]


@pytest.fixture
def backups(database_url: str) -> Iterator[Dumps]:
    """Backups of the registry, thrown away at the end."""
    dumps = Dumps(database_url, SCHEMA)
    yield dumps
    dumps.forget_all()
    dumps.close()


def provider(name: str, **columns: Any) -> Operation:
    """A new provider."""
    return Operation("model_providers", "insert", str(uuid.uuid4()), {"name": name, "type": "openai", **columns})


async def loaded(connection: Database, name: str = "test") -> Registry:
    """A running replica that polls only on request."""
    registry = Registry(connection, origin=name)
    await registry.refresh()
    return registry


async def fresh(connection: Database) -> Snapshot:
    """What a service that starts now would load."""
    return Snapshot.from_document(await connection.call("registry_snapshot"))


def names(registry: Registry) -> list[str]:
    """Of its providers."""
    return [row.name for row in registry.snapshot.providers]


async def split(connection: Database, backups: Dumps, *, after: int) -> tuple[Registry, Registry]:
    """A replica of the old history, and one of the history that replaced it, with a number of further writes."""
    down, other = await loaded(connection, "down"), await loaded(connection, "other")
    await down.write([provider("kept")], actor="a")
    await asyncio.to_thread(backups.take, 1)
    await down.write([provider("lost")], actor="a")
    await asyncio.to_thread(backups.restore, 1)
    for number in range(after):
        await other.write([provider(f"new {number}")], actor="a")
    return down, other


@pytest.mark.parametrize("after", [1, 2, 5])
async def test_a_replica_whose_revision_was_passed_by_another_history_loads_anew(
    connection: Database, backups: Dumps, after: int
) -> None:
    down, _ = await split(connection, backups, after=after)
    assert down.snapshot.revision <= (await fresh(connection)).revision

    await down.refresh()

    assert contents(down.snapshot) == contents(await fresh(connection))
    assert "lost" not in names(down)


async def test_what_it_saved_on_disk_is_not_believed_either(
    connection: Database, backups: Dumps, tmp_path: Path
) -> None:
    down, _ = await split(connection, backups, after=3)
    file = SnapshotFile(tmp_path, "here")
    file.save(down.saved())
    again = Registry(connection, origin="again")
    saved = file.load()
    assert saved is not None
    again.restore(saved)
    assert "lost" in names(again)

    await again.refresh()

    assert contents(again.snapshot) == contents(await fresh(connection))


async def test_a_file_of_the_version_before_serves_and_is_loaded_anew(
    connection: Database, database: psycopg.Connection, tmp_path: Path
) -> None:
    """It has the revision without the id of its entry, so it is unknown to which history the revision belongs."""
    old = await loaded(connection)
    await old.write([provider("p")], actor="a")
    file = SnapshotFile(tmp_path, "here")
    file.save(old.saved())
    path = tmp_path / "snapshot.json"
    content = orjson.loads(path.read_bytes())
    del content["entry_id"]
    path.write_bytes(orjson.dumps(content))
    again = Registry(connection, origin="again")
    saved = file.load()
    assert saved is not None
    again.restore(saved)
    assert names(again) == ["p"]

    database.execute("insert into model_providers (name, type) values ('q', 'openai')")
    await again.refresh()

    assert (names(again), again.loads) == (["p", "q"], 1)


@pytest.mark.parametrize("how", ["write", "record", "expire"])
async def test_whatever_a_replica_sends_first_it_is_right_afterwards(
    connection: Database, backups: Dumps, how: str
) -> None:
    down, _ = await split(connection, backups, after=3)

    if how == "write":
        await down.write([provider("mine")], actor="a")
        assert "mine" in names(down)
    elif how == "record":
        event = DeploymentEvent(
            node_id="n", provider_type="ollama", announced_model="m", status="loaded", event_at=datetime.now(UTC)
        )
        await down.record([event], actor="a")
        assert len(down.snapshot.deployments) == 1
    else:
        await down.expire(None, silent_seconds=1, gap_seconds=1)

    assert contents(down.snapshot) == contents(await fresh(connection))


async def test_a_version_of_a_row_of_the_other_history_is_not_the_version_that_was_asked_for(
    connection: Database, backups: Dumps
) -> None:
    """Both histories made version 2 of the row; who saw one of them must not write over the other."""
    down, other = await loaded(connection, "down"), await loaded(connection, "other")
    row = provider("p")
    await down.write([row], actor="a")
    await asyncio.to_thread(backups.take, 1)
    await down.write([Operation(row.table, "update", row.id, {"metadata": {"by": "down"}})], actor="a")
    await asyncio.to_thread(backups.restore, 1)
    await other.write([Operation(row.table, "update", row.id, {"metadata": {"by": "other"}})], actor="a")
    assert [one.version for registry in (down, other) for one in registry.snapshot.providers] == [2, 2]

    for expect_unchanged in (False, True):
        with pytest.raises(PreconditionFailed):
            await down.write(
                [Operation(row.table, "update", row.id, {"active": False}, 2)],
                actor="a",
                expect_unchanged=expect_unchanged,
            )
    with pytest.raises(PreconditionFailed):
        await down.write([Operation(row.table, "update", row.id, {"active": False})], actor="a", expect_unchanged=True)

    await down.refresh()
    assert [one.metadata for one in down.snapshot.providers] == [{"by": "other"}]


async def test_callers_of_the_version_before_go_on_as_they_did(connection: Database) -> None:
    """They name a revision and no entry, while replicas of this version start beside them."""
    registry = await loaded(connection)
    await registry.write([provider("p")], actor="a")
    known = registry.snapshot.revision
    write = provider("q").wire()

    answer = await connection.call(
        "registry_write", operations=[write], known_revision=known, actor="old", origin="an old one"
    )
    assert [change["row"]["name"] for change in answer["changes"]] == ["q"]
    answer = await connection.call("registry_changes_since", known_revision=known)
    assert [change["row"]["name"] for change in answer["changes"]] == ["q"]
    answer = await connection.call(
        "registry_record_events", events=[], statuses=[], heard={}, rejected=[], most_deployments=10,
        known_revision=known, actor="old", origin="an old one",
    )  # fmt: skip
    assert len(answer["changes"]) == 1
    answer = await connection.call(
        "registry_expire_nodes", heard_through=None, silent_seconds=1, gap_seconds=1,
        known_revision=known, actor="old", origin="an old one",
    )  # fmt: skip
    assert len(answer["changes"]) == 1

    await registry.refresh()
    assert (names(registry), registry.loads) == (["p", "q"], 1)


async def test_entries_from_before_there_were_ids_have_one_that_stays(
    connection: Database, database: psycopg.Connection
) -> None:
    registry = await loaded(connection)
    await registry.write([provider("p")], actor="a")
    database.execute("update registry_changes set entry_id = null")
    one, other = await loaded(connection), await loaded(connection)
    assert one.snapshot.entry_id == other.snapshot.entry_id != registry.snapshot.entry_id

    database.execute("set timezone = 'Asia/Kathmandu'")
    seen = database.execute("select registry_entry_id(c) from registry_changes c").fetchone()
    assert seen == (one.snapshot.entry_id,)
    await one.write([provider("q")], actor="a")
    await other.refresh()
    assert (names(other), other.loads) == (["p", "q"], 1)


async def test_who_is_at_the_cut_of_a_trimmed_log_goes_on_from_there(
    connection: Database, database: psycopg.Connection
) -> None:
    """Also when the entry at the cut is a deletion, which no state needs."""
    registry = await loaded(connection)
    row = provider("p")
    await registry.write([row], actor="a")
    await registry.write([Operation(row.table, "delete", row.id)], actor="a")
    database.execute("select registry_trim(0)")
    oldest = database.execute("select history_from from registry_identity").fetchone()
    assert oldest == (registry.snapshot.revision,)
    database.execute("insert into model_providers (name, type) values ('q', 'openai')")

    await registry.refresh()

    assert (names(registry), registry.loads) == (["q"], 1)


class Slow(Database):
    """PostgREST whose responses can be delayed: each shows the state at the time of its request."""

    def __init__(self, connection: Database) -> None:
        self._connection = connection
        self.held: asyncio.Event | None = None
        self.answered = 0

    async def call(self, function: str, **arguments: Any) -> Any:
        held, self.held = self.held, None
        answer = await self._connection.call(function, **arguments)
        self.answered += 1
        if held is not None:
            await held.wait()
        return answer


@pytest.mark.parametrize("loads_anew", [True, False])
async def test_an_answer_of_the_history_that_is_over_does_not_get_into_the_other(
    connection: Database, backups: Dumps, database: psycopg.Connection, *, loads_anew: bool
) -> None:
    """It was given before the restore, and arrives when the replica follows the history after it."""
    slow = Slow(connection)
    registry = await loaded(slow)
    await registry.write([provider("kept")], actor="a")
    await asyncio.to_thread(backups.take, 1)
    if loads_anew:
        await registry.write([provider("lost 1")], actor="a")
    held = slow.held = asyncio.Event()
    before = slow.answered
    writing = asyncio.create_task(registry.write([provider("lost 2"), provider("lost 3")], actor="a"))
    await until(lambda: _true(slow.answered > before))

    await asyncio.to_thread(backups.restore, 1)
    database.execute("insert into model_providers (name, type) values ('new', 'openai')")
    await registry.refresh()
    assert registry.loads == (2 if loads_anew else 1)
    held.set()
    await writing
    await registry.refresh()

    assert contents(registry.snapshot) == contents(await fresh(connection))
    assert names(registry) == ["kept", "new"]


async def _true(value: object) -> bool:
    return bool(value)


async def test_a_service_that_comes_back_serves_the_database_and_saves_that(
    start_replica: StartReplica, connection: Database, backups: Dumps, tmp_path: Path
) -> None:
    """Over HTTP: the list, the gateway's configuration, and the file on disk, at the very revision it had."""
    cache = tmp_path / "of the one that goes down"
    replica = await start_replica(MODEL_REGISTRY_CACHE_DIR=cache, MODEL_REGISTRY_POLL_SECONDS=NEVER)
    await add_provider(replica.client)
    await asyncio.to_thread(backups.take, 1)
    lost = provider("lost")
    await replica.state.registry.write([lost], actor="a")
    revision = replica.state.registry.snapshot.revision
    await asyncio.to_thread(backups.restore, 1)
    other = await loaded(connection)
    await other.write([provider("new")], actor="a")
    assert other.snapshot.revision == revision

    answer = await replica.client.get("/api/providers", headers={"Cache-Control": "no-cache"})

    assert [row["name"] for row in answer.json()["items"]] == ["new", "ollama_local"]
    problem(await replica.client.get("/api/providers/lost"), 404, "E4004")

    async def saved() -> bool:
        return (found := SnapshotFile(cache, _source(cache)).load()) is not None and (
            found.snapshot.entry_id == other.snapshot.entry_id
        )

    await until(saved)
    assert (await get(replica.client, "/readyz"))["revision"] == revision


async def test_an_etag_of_the_history_that_is_over_matches_nothing(
    start_replica: StartReplica, backups: Dumps, database: psycopg.Connection
) -> None:
    """Rows' ETags are of their content; a node's, which moves with heartbeats, is of its version and its time."""
    replica = await start_replica()
    report = {"node_id": "n", "provider_type": "ollama", "model_id": "m"}
    await replica.client.post("/api/deployments", json=report)
    await asyncio.to_thread(backups.take, 1)
    await replica.client.put("/api/nodes/n", json={"labels": {"by": "lost"}})
    etag = (await replica.client.get("/api/nodes/n")).headers["etag"]
    await asyncio.to_thread(backups.restore, 1)
    database.execute("""update gpu_nodes set labels = '{"by": "other"}'""")
    await replica.state.registry.refresh()

    for method in ("PUT", "DELETE"):
        answer = await replica.client.request(method, "/api/nodes/n", json={}, headers={"If-Match": etag})
        problem(answer, 412, "E4120")

    assert (await get(replica.client, "/api/nodes/n"))["labels"] == {"by": "other"}


def _source(directory: Path) -> str:
    path = directory / "snapshot.json"
    return str(orjson.loads(path.read_bytes())["source"]) if path.exists() else ""
