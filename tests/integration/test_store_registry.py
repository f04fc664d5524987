"""The snapshot and the database: always the same, whoever writes, and whatever stands behind the address."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Sequence
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from model_registry.catalog.snapshot import Snapshot
from model_registry.entities.change import Change, Operation
from model_registry.entities.deployment import DeploymentEvent
from model_registry.errors import PreconditionFailed, RegistryError, StorageMisconfigured, StorageUnavailable
from model_registry.settings import Settings
from model_registry.store.client import Database, connect
from model_registry.store.registry import Registry
from model_registry.tensorzero.affected import CONFIGURATION_TABLES
from support.database import empty
from support.snapshots import contents

SCHEMA = "model_registry"


@pytest.fixture
async def connection(environment: dict[str, Any]) -> AsyncIterator[Database]:
    """PostgREST, as a service reaches it."""
    database = await connect(Settings(**environment))
    yield database
    await database.close()


@pytest.fixture
async def registry(connection: Database) -> Registry:
    """A registry that has loaded the empty database, and looks only when told to."""
    made = Registry(connection, origin="test")
    await made.refresh()
    return made


def provider(name: str, **columns: Any) -> Operation:
    """A new provider."""
    return Operation("model_providers", "insert", str(uuid.uuid4()), {"name": name, "type": "ollama", **columns})


async def fresh(connection: Database) -> Snapshot:
    """What a service that starts now would load."""
    return Snapshot.from_document(await connection.call("registry_snapshot"))


def provider_names(registry: Registry) -> list[str]:
    return [row.name for row in registry.snapshot.providers]


# What people and programs may do, as (what, choices): ids are found when it is done, by counting through the rows.

_NAMES = st.sampled_from(["a", "b", "c"])
_PICK = st.integers(0, 5)
_FLAGS = st.booleans()
_STEP = st.one_of(
    st.tuples(st.just("provider"), _NAMES, st.sampled_from(["ollama", "vllm", "openai_compatible"])),
    st.tuples(st.just("model"), _NAMES, _NAMES, _PICK),
    st.tuples(st.just("alias"), _NAMES, st.sampled_from([None, "x"]), _PICK),
    st.tuples(st.just("function"), _NAMES, _NAMES, st.sampled_from([None, "n"])),
    st.tuples(st.just("mapping"), _NAMES, _NAMES, _NAMES, _PICK, _PICK),
    st.tuples(st.just("update provider"), _PICK, _NAMES, _FLAGS),
    st.tuples(st.just("retype provider"), _PICK, st.sampled_from(["ollama", "vllm", "openai"])),
    st.tuples(st.just("update model"), _PICK, _NAMES, _PICK),
    st.tuples(st.just("update function"), _PICK, _NAMES, st.sampled_from([None, "m"])),
    st.tuples(st.just("update mapping"), _PICK, _NAMES, _NAMES, st.sampled_from([0.0, 0.5, 2.0])),
    st.tuples(st.just("delete"), st.sampled_from(sorted(CONFIGURATION_TABLES)), _PICK),
    st.tuples(st.just("section"), _NAMES),
)
_EVENT = st.tuples(_NAMES, st.sampled_from(["ollama", "vllm"]), _NAMES, st.sampled_from(["loaded", "unloaded"]), _PICK)
_STATEMENT = st.sampled_from(
    [
        "update models set active = not active where name = 'a'",
        "update models set name = name, updated_at = now()",
        "delete from model_aliases",
        "insert into model_providers (name, type) values ('a', 'vllm'), ('d', 'vllm') on conflict do nothing",
        "update model_providers set type = 'ollama' where name in ('a', 'd')",
        "delete from service_model_mappings where priority > 0",
        "update gpu_nodes set last_seen_at = now()",
        "insert into model_providers (name, type) select 'b' || generate_series(1, 80), 'xai' on conflict do nothing",
        "update model_providers set metadata = jsonb_build_object('n', 1) where name like 'b%'",
        "begin; insert into functions (service_name, function_name, name) values ('r', 'r', null); rollback",
        "update functions set name = name || '!' where service_name = 'a'",
        "update api_keys set scopes = '[\"node\"]'",
        "update api_keys set revoked_at = now()",
    ]
)


def _id(snapshot: Snapshot, table: str, pick: int) -> str:
    rows = list(snapshot.tables[table])
    return rows[pick % len(rows)].id if rows else str(uuid.UUID(int=pick))


def operation(snapshot: Snapshot, step: tuple[Any, ...]) -> Operation:  # noqa: C901, PLR0911 (one case a kind)
    """What a drawn step is, in the registry as it is now."""
    new = str(uuid.uuid4())
    match step:
        case "provider", name, kind:
            return Operation("model_providers", "insert", new, {"name": name, "type": kind})
        case "model", name, model_id, pick:
            columns = {"name": name, "model_id": model_id, "provider_id": _id(snapshot, "model_providers", pick)}
            return Operation("models", "insert", new, columns)
        case "alias", alias, context, pick:
            columns = {"alias": alias, "context": context, "model_id": _id(snapshot, "models", pick)}
            return Operation("model_aliases", "insert", new, columns)
        case "function", service, function, name:
            columns = {"service_name": service, "function_name": function, "name": name}
            return Operation("functions", "insert", new, columns)
        case "mapping", service, function, variant, pick, priority:
            names = {"service_name": service, "function_name": function, "variant_name": variant}
            columns = {**names, "model_id": _id(snapshot, "models", pick), "priority": priority}
            return Operation("service_model_mappings", "insert", new, columns)
        case "update provider", pick, name, active:
            row_id = _id(snapshot, "model_providers", pick)
            return Operation("model_providers", "update", row_id, {"name": name, "active": active})
        case "retype provider", pick, kind:
            return Operation("model_providers", "update", _id(snapshot, "model_providers", pick), {"type": kind})
        case "update model", pick, name, vram:
            return Operation("models", "update", _id(snapshot, "models", pick), {"name": name, "vram_mb": vram})
        case "update function", pick, service, name:
            row_id = _id(snapshot, "functions", pick)
            return Operation("functions", "update", row_id, {"service_name": service, "name": name})
        case "update mapping", pick, function, variant, weight:
            columns = {"function_name": function, "variant_name": variant, "weight": weight}
            return Operation("service_model_mappings", "update", _id(snapshot, "service_model_mappings", pick), columns)
        case "delete", table, pick:
            return Operation(table, "delete", _id(snapshot, table, pick))
        case _, name:
            return Operation("config_sections", "insert", new, {"name": name, "value": {}})
    raise AssertionError(step)


def event(drawn: tuple[str, str, str, str, int]) -> DeploymentEvent:
    node, kind, model, status, minute = drawn
    return DeploymentEvent.model_validate(
        {
            "node_id": node,
            "provider_type": kind,
            "announced_model": model,
            "status": status,
            "event_at": f"2026-01-01T00:0{minute}:00Z",
        }
    )


def configuration(snapshot: Snapshot) -> dict[str, Any]:
    """What a configuration is made of, without what only the database hands out."""
    handed_out = {"version", "created_at", "updated_at"}
    return {
        name: [
            row.model_dump(exclude=handed_out | ({"id"} if name == "functions" else set()))
            for row in snapshot.tables[name]
        ]
        for name in CONFIGURATION_TABLES
    }


_START = """
insert into model_providers (name, type) values ('a', 'ollama'), ('z', 'vllm');
insert into models (provider_id, name, model_id)
    select id, x, x || name from model_providers, unnest('{a,y}'::text[]) as x;
insert into model_aliases (alias, model_id) select 'b', id from models limit 1;
insert into service_model_mappings (service_name, function_name, variant_name, model_id)
    select 'a', 'a', name || model_id, id from models;
insert into functions (service_name, function_name, name) values ('z', 'z', null);
insert into model_deployments (node_id, provider_type, announced_model) values ('a', 'vllm', 'c');
insert into api_keys (name, key_hash, scopes) values ('k', repeat('0', 64), '["read"]');
"""
_RUN = st.lists(
    st.one_of(
        st.lists(_STEP, min_size=1, max_size=3).map(lambda steps: ("write", steps)),
        st.lists(_EVENT, min_size=1, max_size=3).map(lambda events: ("events", events)),
        _STATEMENT.map(lambda statement: ("sql", statement)),
    ),
    min_size=4,
    max_size=16,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(run=_RUN)
async def test_a_snapshot_brought_forward_is_the_one_that_would_be_loaded(
    database_url: str, connection: Database, run: list[tuple[str, Any]]
) -> None:
    """And the preview of a write is what the write makes of the configuration."""
    empty(database_url, SCHEMA)
    with psycopg.connect(database_url, autocommit=True) as administrator:
        administrator.execute(f"set search_path to {SCHEMA}")
        administrator.execute(_START.encode())
        registry = Registry(connection, origin="test")
        await registry.refresh()
        for kind, content in run:
            if kind == "sql":
                _run_sql(administrator, content)
                await registry.refresh()
            elif kind == "events":
                await registry.record([event(drawn) for drawn in content], actor="nodes")
            else:
                await _write_and_compare(registry, content)
            assert contents(registry.snapshot) == contents(await fresh(connection))


def _run_sql(administrator: psycopg.Connection, statement: str) -> None:
    with contextlib.suppress(psycopg.errors.IntegrityError):  # nothing has happened, and that is a step too
        administrator.execute(statement.encode())


async def _write_and_compare(registry: Registry, steps: list[tuple[Any, ...]]) -> None:
    before = registry.snapshot
    operations: list[Operation] = []
    expected = before
    for step in steps:
        operations.append(operation(expected, step))
        expected = before.preview(operations)
    try:
        await registry.write(operations, actor="someone")
    except RegistryError:
        await registry.refresh()
        assert contents(registry.snapshot) == contents(before)
    else:
        assert configuration(registry.snapshot) == configuration(expected)


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

    registry.listeners.append(listen)
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
