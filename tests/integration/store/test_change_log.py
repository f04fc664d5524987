"""The change log in the database: what counts as a change, which links follow from one, and their order."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import psycopg
import pytest
from psycopg import sql

SCHEMA = "model_registry"
TRACKED = {
    *("model_providers", "model_categories", "models", "model_aliases", "functions", "service_model_mappings"),
    *(
        "model_deployments",
        "gpu_nodes",
        "model_services",
        "service_instances",
        "model_sources",
        "source_answers",
        "gateways",
        "config_sections",
        "config_files",
        "api_keys",
    ),
}


def column(database: psycopg.Connection, query: str, *values: object) -> list[Any]:
    """The first column of what a query answers."""
    return [row[0] for row in database.execute(query.encode(), values).fetchall()]


def log(database: psycopg.Connection) -> list[tuple[str, str]]:
    """The change log: table and operation, in order."""
    return [
        (row[0], row[1])
        for row in database.execute("select table_name, operation from registry_changes order by revision").fetchall()
    ]


def test_every_table_that_holds_something_is_tracked(database: psycopg.Connection) -> None:
    query = """select c.relname from pg_trigger t join pg_class c on c.oid = t.tgrelid
        where c.relnamespace = %s::regnamespace and t.tgname = %s and t.tgenabled = 'O'"""
    triggers = ("a_lock", "z_version", "z_log_insert", "z_log_update", "z_log_delete", "a_refuse_truncate")
    for trigger in triggers:
        assert set(column(database, query, SCHEMA, trigger)) == TRACKED, trigger


@pytest.fixture
def rows(database: psycopg.Connection) -> psycopg.Connection:
    """A database with a row in every tracked table, and an empty log."""
    database.execute("""
        insert into model_providers (name, type) values ('p', 'ollama');
        insert into models (provider_id, name, model_id) select id, 'm', 'm' from model_providers;
        insert into model_aliases (model_id, alias) select id, 'a' from models;
        insert into service_model_mappings (service_name, function_name, variant_name, model_id)
            select 's', 'f', 'v', id from models;
        insert into model_deployments (node_id, provider_type, announced_model, model_id)
            select 'n', 'ollama', 'm', id from models;
        insert into gpu_nodes (node_id) values ('n');
        insert into model_services (model_type) values ('LSTM');
        insert into service_instances (service_id, model_service_id, service_url, capabilities)
            select 'i', id, 'http://gpu:8001', '["prediction"]' from model_services;
        insert into config_sections (name, value) values ('gateway', '{}');
        insert into config_files (path, content) values ('a', 'b');
        insert into api_keys (name, key_hash, scopes) values ('k', repeat('0', 64), '["read"]');
        delete from registry_changes;
    """)
    return database


def test_an_update_that_changes_nothing_is_no_change(rows: psycopg.Connection) -> None:
    for table in TRACKED:
        name = sql.Identifier(table)
        before = rows.execute(sql.SQL("select to_jsonb(t) from {} t").format(name)).fetchall()
        rows.execute(sql.SQL("update {} set created_at = created_at, version = 99, updated_at = now()").format(name))
        assert rows.execute(sql.SQL("select to_jsonb(t) from {} t").format(name)).fetchall() == before, table
    again = "insert into model_providers (name, type) values ('p', 'ollama')"
    rows.execute(f"{again} on conflict (name) do update set type = excluded.type")

    assert log(rows) == []


def test_heartbeats_are_kept_and_are_no_changes(rows: psycopg.Connection) -> None:
    rows.execute("update gpu_nodes set last_seen_at = now(), vram_used_mb = 1, vram_free_mb = 2")
    rows.execute("update model_deployments set last_used_at = now(), event_at = now(), loaded_at = now()")
    rows.execute("update service_instances set renewed_at = now() + interval '1 minute'")

    assert log(rows) == []
    assert column(rows, "select version from gpu_nodes union all select version from model_deployments") == [1, 1]
    assert column(rows, "select vram_used_mb from gpu_nodes where last_seen_at is not null") == [1]
    assert (
        len(column(rows, "select 1 from model_deployments where last_used_at = loaded_at and event_at = loaded_at"))
        == 1
    )

    rows.execute("update model_deployments set loaded_at = now(), status = 'error'")
    assert log(rows) == [("model_deployments", "update")]


def test_a_change_counts_the_rows_version_and_keeps_both_states(rows: psycopg.Connection) -> None:
    rows.execute("update models set description = 'd'")
    rows.execute("delete from model_aliases")

    found = rows.execute("select operation, before, after from registry_changes order by revision").fetchall()

    assert [entry[0] for entry in found] == ["update", "delete"]
    assert [(entry[1] or {}).get("version") for entry in found] == [1, 1]
    assert (found[0][2]["version"], found[0][2]["description"], found[1][2]) == (2, "d", None)
    assert found[0][2]["updated_at"] > found[0][1]["updated_at"]


def test_emptying_a_table_without_a_trace_is_refused(rows: psycopg.Connection) -> None:
    for table in TRACKED:
        with pytest.raises(psycopg.errors.RaiseException, match="TRUNCATE"):
            rows.execute(sql.SQL("truncate {} cascade").format(sql.Identifier(table)))
    assert log(rows) == []


def test_the_id_of_a_row_never_changes(rows: psycopg.Connection) -> None:
    for table in ("config_files", "model_aliases", "gpu_nodes"):
        with pytest.raises(psycopg.errors.RaiseException, match="id"):
            rows.execute(sql.SQL("update {} set id = gen_random_uuid()").format(sql.Identifier(table)))


def test_what_is_rolled_back_was_never_there(rows: psycopg.Connection) -> None:
    with rows.transaction(force_rollback=True):
        rows.execute("update models set description = 'd'")

    assert log(rows) == []


def test_there_is_one_identity(database: psycopg.Connection) -> None:
    for statement in (
        "insert into registry_identity default values",
        "insert into registry_identity (only_row) values (false)",
    ):
        with pytest.raises(psycopg.IntegrityError):
            database.execute(statement.encode())


def link(database: psycopg.Connection) -> str | None:
    """The name of the model that the only deployment is linked to."""
    return column(  # type: ignore[no-any-return]
        database, "select m.name from model_deployments d left join models m on m.id = d.model_id"
    )[0]


def add_model(database: psycopg.Connection, provider: str, kind: str, name: str, model_id: str) -> None:
    database.execute(
        "insert into model_providers (name, type) values (%s, %s) on conflict do nothing", [provider, kind]
    )
    database.execute(
        "insert into models (provider_id, name, model_id) select id, %s, %s from model_providers where name = %s",
        [name, model_id, provider],
    )


def announce(database: psycopg.Connection, kind: str, model: str) -> None:
    database.execute(
        "insert into model_deployments (node_id, provider_type, announced_model) values ('n', %s, %s)", [kind, model]
    )


def test_a_deployment_is_linked_when_its_model_appears(database: psycopg.Connection) -> None:
    announce(database, "ollama", "qwen3:8b")
    assert link(database) is None

    add_model(database, "cloud", "openrouter", "hosted", "qwen3:8b")
    assert link(database) is None  # the same model somewhere else does not run on the node

    add_model(database, "local", "ollama", "small", "qwen3:8b")
    assert link(database) == "small"
    assert log(database)[-1] == ("models", "insert")
    assert ("model_deployments", "update") in log(database)


def test_a_deployment_follows_names(database: psycopg.Connection) -> None:
    announce(database, "ollama", "x")
    add_model(database, "local", "ollama", "small", "qwen3:8b")
    assert link(database) is None

    database.execute("update models set model_id = 'x'")
    assert link(database) == "small"
    database.execute("update models set model_id = 'y', name = 'x'")
    assert link(database) == "x"
    database.execute("update models set name = 'z'")
    assert link(database) is None


def test_a_deployment_follows_the_type_of_a_provider(database: psycopg.Connection) -> None:
    announce(database, "vllm", "x")
    add_model(database, "box", "openrouter", "small", "x")
    assert link(database) is None

    database.execute("update model_providers set type = 'openai_compatible'")
    assert link(database) == "small"
    database.execute("update model_providers set type = 'vllm'")
    assert link(database) == "small"
    database.execute("update model_providers set type = 'openrouter'")
    assert link(database) is None
    database.execute("update model_providers set name = 'vllm'")
    assert link(database) == "small"


def test_a_deployment_whose_model_is_deleted_is_linked_to_the_next_that_fits(database: psycopg.Connection) -> None:
    add_model(database, "a", "ollama", "first", "x")
    add_model(database, "b", "ollama", "second", "x")
    announce(database, "ollama", "x")
    database.execute("update model_deployments set model_id = find_announced_model(provider_type, announced_model)")
    assert link(database) == "first"

    database.execute("delete from models where name = 'first'")
    assert link(database) == "second"
    database.execute("delete from models")
    assert link(database) is None
    assert log(database)[-1][0] in ("models", "model_deployments")


def test_a_change_that_moves_no_link_makes_no_change_of_a_deployment(database: psycopg.Connection) -> None:
    add_model(database, "local", "ollama", "small", "x")
    announce(database, "ollama", "x")
    database.execute("update model_deployments set model_id = (select id from models)")
    before = log(database).count(("model_deployments", "update"))

    database.execute("update models set description = 'd'")
    database.execute("update model_providers set api_base = 'http://x'")

    assert log(database).count(("model_deployments", "update")) == before
    assert link(database) == "small"


def test_a_reader_misses_nothing_however_many_write(
    database: psycopg.Connection, database_url: str, stack: Any
) -> None:
    """Revisions rise in the order of commits: who has seen one has seen all before it."""
    environment = stack.environment()
    url, headers = environment["POSTGREST_URL"], {"Authorization": f"Bearer {environment['POSTGREST_KEY']}"}

    def by_sql(writer: int) -> None:
        with psycopg.connect(database_url) as connection:
            connection.execute(f"set search_path to {SCHEMA}")
            connection.commit()
            for i in range(15):
                connection.execute(
                    "insert into functions (service_name, function_name, name) values (%s, %s, null)",
                    [f"{writer}", f"{i}"],
                )
                connection.execute("select pg_sleep(random() * 0.003)")
                connection.execute("update functions set description = 'd' where service_name = %s", [f"{writer}"])
                connection.rollback() if i % 5 == 4 else connection.commit()

    def by_rpc(writer: int) -> None:
        for i in range(15):
            row = {"name": f"{writer} {i}", "type": "openai"}
            operation = {
                "table": "model_providers",
                "action": "insert",
                "id": f"{writer:08}-0000-4000-8000-{i:012}",
                "row": row,
            }
            sent = {"operations": [operation], "known_revision": 2**60}
            assert httpx.post(f"{url}/rpc/registry_write", json=sent, headers=headers).status_code == 200

    seen: list[int] = []
    with ThreadPoolExecutor(8) as pool:
        writers = [pool.submit(by_sql, i) for i in range(4)] + [pool.submit(by_rpc, i) for i in range(4, 8)]
        finished = False
        while not finished:
            finished = all(writer.done() for writer in writers)
            answer = column(database, "select registry_changes_since(%s)", seen[-1] if seen else 0)[0]
            seen += [change["revision"] for change in answer["changes"]]
            time.sleep(0.001)
        for writer in writers:
            writer.result()

    assert seen == column(database, "select revision from registry_changes order by revision")
    assert len(seen) > 4 * 15
