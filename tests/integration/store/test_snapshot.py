"""A snapshot updated step by step equals one that is loaded now, for any steps."""

from __future__ import annotations

import contextlib
import uuid
from datetime import UTC, datetime
from typing import Any

import psycopg
from hypothesis import given
from hypothesis import strategies as st

from model_registry.entities.change import Operation
from model_registry.entities.deployment import DeploymentEvent
from model_registry.errors import RegistryError
from model_registry.gateways.tensorzero.rendering.render import CONFIGURATION_TABLES
from model_registry.snapshot.snapshot import Snapshot
from model_registry.store.client import Database
from model_registry.store.registry import Registry
from support.catalogues import contents
from support.database import empty, fresh
from support.profiles import on_the_stack

SCHEMA = "model_registry"


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
    at = datetime(2026, 1, 1, 0, minute, tzinfo=UTC)
    return DeploymentEvent(node_id=node, provider_type=kind, announced_model=model, status=status, event_at=at)


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


@on_the_stack()
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
