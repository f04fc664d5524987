"""The original registry's database becomes this one's: its rows, and what programs of the original do with it."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from model_registry.errors import OriginalRegistry, StorageMisconfigured
from model_registry.store import adoption, migrations
from support.paths import FIXTURES

ORIGINAL = "pmoves_core"
ASIDE = "pmoves_core_original"
SCHEMA = FIXTURES / "original" / "schema.sql"
SEED = FIXTURES / "original" / "seed.sql"

ROWS = FIXTURES / "original" / "rows.sql"


PROVIDERS = "select id, name from {}.model_providers order by name"
DEPLOYMENTS = "select count(*) from {}.model_deployments"
ACTORS = "select distinct actor from {}.registry_changes"


@pytest.fixture
def original(empty_database: str) -> str:
    """A database of the original, in use."""
    with psycopg.connect(empty_database, autocommit=True) as connection:
        connection.execute(SCHEMA.read_bytes())
        connection.execute(ROWS.read_bytes())
    return empty_database


def rows(url: str, query: str) -> list[dict[str, Any]]:
    with psycopg.connect(url, row_factory=dict_row) as connection:
        return connection.execute(query.encode()).fetchall()


def counts(url: str, schema: str) -> dict[str, int]:
    tables = ("model_providers", "models", "model_aliases", "functions", "service_model_mappings", "model_deployments")
    query = "select count(*) from {}.{}"
    return {table: rows(url, query.format(schema, table))[0]["count"] for table in tables}


EVERYTHING = {
    "model_providers": 3,
    "models": 3,
    "model_aliases": 2,
    "functions": 2,
    "service_model_mappings": 2,
    "model_deployments": 2,
}


def test_migrating_its_schema_says_so_and_changes_nothing(original: str) -> None:
    query = "select oid, relname from pg_class where relnamespace = 'pmoves_core'::regnamespace order by 1"
    before = rows(original, query)

    for action in (migrations.migrate, migrations.status, migrations.seed):
        with pytest.raises(OriginalRegistry, match=r"pmoves_core holds the tables of the original.*db adopt"):
            action(original, ORIGINAL)

    assert rows(original, query) == before


@pytest.mark.parametrize("schema", [ORIGINAL, "model_registry"])
def test_its_rows_come_over_and_a_second_time_nothing_happens(original: str, schema: str) -> None:
    ids = rows(original, PROVIDERS.format(ORIGINAL))
    dry = adoption.adopt(original, schema, dry_run=True)
    assert rows(original, "select count(*) from pg_namespace where nspname = 'pmoves_core_original'")[0]["count"] == 0

    done = adoption.adopt(original, schema)

    assert counts(original, schema) == EVERYTHING
    assert dry.plan.changed == done.plan.changed
    assert rows(original, PROVIDERS.format(schema)) == ids
    assert done.moved_to == (ASIDE if schema == ORIGINAL else None)
    source = ASIDE if schema == ORIGINAL else ORIGINAL
    assert rows(original, DEPLOYMENTS.format(source)) == [{"count": 3}]
    assert adoption.not_adopted(original, schema) == {}
    assert rows(original, ACTORS.format(schema)) == [{"actor": "db adopt"}]

    again = adoption.adopt(original, schema)
    assert not any(again.plan.inserts.values())
    assert counts(original, schema) == EVERYTHING


def test_what_breaks_a_rule_is_changed_or_left_out_and_named(original: str) -> None:
    done = adoption.adopt(original, "model_registry")
    changed, left_out = "\n".join(done.plan.changed), "\n".join(done.plan.left_out)

    providers = {row["name"]: row for row in rows(original, "select * from model_registry.model_providers")}
    assert providers["ollama_local"]["metadata"] == {"location": "local", "description": "On the Docker network"}
    assert providers["openai_platform"]["metadata"] == {}
    broken = providers["broken"]
    assert (broken["api_base"], broken["api_key_env_var"], broken["active"]) == (None, None, False)
    assert broken["metadata"]["original"]["api_base"] == "localhost:7861"
    assert "a1B2a1B2" not in str(broken) + changed
    assert "secret" in changed

    models = {row["model_id"]: row for row in rows(original, "select * from model_registry.models")}
    assert {model["name"] for model in models.values()} == {"chat", "chat_2", "gpt"}
    assert (models["qwen3:32b"]["capabilities"], models["qwen3:32b"]["vram_mb"]) == (["vision"], None)
    assert models["gpt-4o-mini"]["active"] is False

    functions = rows(original, "select name from model_registry.functions order by name")
    assert [row["name"] for row in functions] == ["a_b_c", "a_b_c_2"]
    mapping = rows(
        original, "select priority, weight, fallback_model_id from model_registry.service_model_mappings order by 1"
    )
    assert (mapping[1]["priority"], mapping[1]["weight"]) == (5, 0.25)
    assert mapping[1]["fallback_model_id"] == models["gpt-4o-mini"]["id"]

    deployments = rows(original, "select * from model_registry.model_deployments order by node_id")
    assert [(row["announced_model"], row["provider_type"], row["status"]) for row in deployments] == [
        ("qwen3:8b", "ollama", "loaded"),
        ("gpt-4o-mini", "openai_compatible", "unloaded"),
    ]
    assert left_out.count("the context 'agent_zero'") == 2
    assert "a newer one is here" in left_out
    assert not done.is_complete


def test_what_others_built_upon_it_follows_or_is_named(original: str) -> None:
    done = adoption.adopt(original, ORIGINAL)

    assert "the view pmoves_core.v_model_spotlight" in done.followed
    assert "the view public.model_deployments" in done.followed
    assert [line for line in done.left_behind if line.startswith("the view public.model_providers: ")]
    with psycopg.connect(original, autocommit=True) as connection:
        connection.execute("update pmoves_core.models set name = 'new' where model_id = 'qwen3:8b'")
        connection.execute(
            "insert into public.model_deployments (model_id, node_id, provider_type, status)"
            " select id, 'gpu-9', 'ollama', 'loaded' from pmoves_core.models where name = 'new'"
        )
        connection.execute("insert into pmoves_core.model_metrics select id, now(), 1 from pmoves_core.models")
    assert {"name": "new", "provider_name": "ollama_local"} in rows(
        original, "select * from pmoves_core.v_model_spotlight"
    )
    added = rows(original, "select announced_model from pmoves_core.model_deployments where node_id = 'gpu-9'")
    assert added == [{"announced_model": "qwen3:8b"}]
    granted = "select has_table_privilege('service_role', 'public.model_deployments', 'insert') as may"
    assert rows(original, granted) == [{"may": True}]


def test_rows_that_were_written_since_come_over_with_the_next_run(original: str) -> None:
    migrations.migrate(original, "model_registry")
    migrations.seed(original, "model_registry")
    before = counts(original, "model_registry")
    assert adoption.not_adopted(original, "model_registry") == {ORIGINAL: 3}  # the seed's are elsewhere

    adoption.adopt(original, "model_registry")
    with psycopg.connect(original, autocommit=True) as connection:
        connection.execute("""
            insert into pmoves_core.models (provider_id, name, model_id, model_type)
            select id, 'late', 'late', 'chat' from pmoves_core.model_providers where name = 'ollama_local'""")
    adoption.adopt(original, "model_registry")

    after = counts(original, "model_registry")
    late = rows(
        original,
        "select p.name from model_registry.models m join model_registry.model_providers p on p.id = m.provider_id"
        " where m.model_id = 'late'",
    )
    assert late == [{"name": "ollama_local_2"}]
    assert after["model_providers"] == before["model_providers"] + 3


def test_its_seed_file_is_run_and_what_it_writes_comes_over(empty_database: str) -> None:
    text = SEED.read_text()

    done = adoption.adopt_file(empty_database, ORIGINAL, text)

    assert len(done.failed) == 1  # as it does in the original
    assert done.failed[0].startswith("the statement at line 32: invalid input syntax for type json")
    names = rows(empty_database, "select name, metadata from pmoves_core.model_providers order by name")
    assert [row["name"] for row in names] == ["ollama_local", "venice_primary"]
    assert names[0]["metadata"] == {"location": "local", "description": "On the Docker network; local"}
    mapping = rows(empty_database, "select model_name, variant_name from pmoves_core.v_service_models")
    assert mapping == [{"model_name": "qwen3_8b_local", "variant_name": "local_qwen8b"}]
    assert rows(empty_database, "select nspname from pg_namespace where nspname like 'adoption%'") == []

    again = adoption.adopt_file(empty_database, ORIGINAL, text)
    assert not any(again.plan.inserts.values())


HOSTILE = """
    insert into old.model_providers (name, type, api_base) values
        ('tensorzero::x', 'ollama', 'ws://a'), (repeat('n', 500), 'unheard of', 'http://me:hunter2@a/v1'),
        (repeat('n', 501), 'vllm', null), (E'a\\nb', 'vllm', ''), ('', 'vllm', 'https://ok/v1');
    alter table old.model_providers add column region text default 'eu';
    insert into old.models (provider_id, name, model_id, model_type, capabilities, vram_mb, context_length)
        select p.id, n, n, 'unheard of', '[1, "chat", null]', -5, -1 from old.model_providers p,
            unnest(array['tensorzero::', repeat('m', 900), E'\\t', '']) n where p.name = '';
    insert into old.model_aliases (model_id, alias, context)
        select id, 'tensorzero::tensorzero::a', '' from old.models where vram_mb = -5 limit 1;
    insert into old.service_model_mappings (service_name, function_name, model_id, variant_name, priority, weight)
        select repeat('s', 300), E'\\x01', id, 'tensorzero::v', null, -3 from old.models limit 1;
    insert into old.model_deployments (model_id, node_id, provider_type, status, vram_allocated_mb)
        select id, repeat('k', 300), repeat('t', 100), 'unheard of', -1 from old.models limit 1;
"""


def test_rows_without_any_rule_come_over_by_our_rules(empty_database: str) -> None:
    done = adoption.adopt_file(empty_database, "model_registry", HOSTILE)

    assert done.failed == ()
    assert counts(empty_database, "model_registry") == {
        "model_providers": 5,
        "models": 4,
        "model_aliases": 1,
        "functions": 1,
        "service_model_mappings": 1,
        "model_deployments": 1,
    }
    providers = rows(empty_database, "select * from model_registry.model_providers")
    assert "hunter2" not in str(providers) + str(done.plan.changed)
    assert all(row["metadata"]["original"]["region"] == "eu" for row in providers)
    assert len({row["name"] for row in providers}) == 5
    assert rows(empty_database, "select alias, context from model_registry.model_aliases") == [
        {"alias": "a", "context": None}
    ]


def test_a_row_that_the_database_refuses_keeps_all_back(original: str) -> None:
    migrations.migrate(original, "model_registry")
    with psycopg.connect(original, autocommit=True) as connection:
        connection.execute("alter table model_registry.models add constraint no_gpt check (name <> 'gpt')")

    with pytest.raises(StorageMisconfigured, match="no_gpt"):
        adoption.adopt(original, "model_registry")

    assert set(counts(original, "model_registry").values()) == {0}


def test_a_schema_that_holds_no_original_is_said(original: str, empty_database: str) -> None:
    with pytest.raises(StorageMisconfigured, match=r"elsewhere holds none of.*choose with --from among pmoves_core"):
        adoption.adopt(original, "model_registry", "elsewhere")
    with psycopg.connect(empty_database, autocommit=True) as connection:
        connection.execute("drop schema pmoves_core cascade")
    with pytest.raises(StorageMisconfigured, match="No schema of this database"):
        adoption.adopt(empty_database, "model_registry")


def test_a_name_that_another_server_has_here_is_not_its_provider(original: str) -> None:
    """As when the registry's seeds came first: the models would be asked for where they are not."""
    migrations.migrate(original, "model_registry")
    with psycopg.connect(original, autocommit=True) as connection:
        connection.execute("""
            insert into model_registry.model_providers (name, type, api_base) values
                ('ollama_local', 'ollama', 'http://localhost:11434/v1'),
                ('openai_platform', 'openai_compatible', 'https://API.openai.com:443/v1/')""")

    done = adoption.adopt(original, "model_registry")

    of_models = """
        select p.name, p.api_base from model_registry.models m
        join model_registry.model_providers p on p.id = m.provider_id group by 1, 2 order by 1"""
    assert [(row["name"], row["api_base"]) for row in rows(original, of_models)] == [
        ("ollama_local_2", "http://ollama:11434/v1"),
        ("openai_platform", "https://API.openai.com:443/v1/"),
    ]
    assert "this is 'ollama_local_2'" in "\n".join(done.plan.changed)
    assert not any(adoption.adopt(original, "model_registry").plan.inserts.values())


def test_a_clock_ahead_of_time_does_not_outlast_what_nodes_say_next(original: str) -> None:
    """Programs of the original wrote local times as UTC."""
    with psycopg.connect(original, autocommit=True) as connection:
        connection.execute("update pmoves_core.model_deployments set last_used_at = now() + interval '8 hours'")

    adoption.adopt(original, "model_registry")

    late = "select max(event_at) <= now() as past from model_registry.model_deployments"
    assert rows(original, late) == [{"past": True}]


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_file_with_transactions_of_its_own_does_not_end_that_of_the_adoption(
    empty_database: str, *, dry_run: bool
) -> None:
    text = f"/* seed */ Begin;\n{SEED.read_text()}\n-- done\nCOMMIT;\nstart transaction; end work; rollback;"
    migrations.migrate(empty_database, "model_registry")

    done = adoption.adopt_file(empty_database, "model_registry", text, dry_run=dry_run)

    assert [line for line in done.failed if "rollback" in line]
    assert len(done.failed) == 2
    assert counts(empty_database, "model_registry")["model_providers"] == (0 if dry_run else 2)
    assert rows(empty_database, "select nspname from pg_namespace where nspname like 'adoption%'") == []


def test_a_view_that_follows_keeps_its_owner(original: str) -> None:
    """As the administrator's it would show its old owner what only administrators may read."""
    with psycopg.connect(original, autocommit=True) as connection:
        connection.execute("""
            drop role if exists adoption_guest; create role adoption_guest;
            create schema guest authorization adoption_guest; create table public.hidden as select 'x' as secret;
            grant usage on schema pmoves_core to adoption_guest; set role adoption_guest;
            create view guest.peek as select m.name, h.secret from pmoves_core.models m, public.hidden h;
            grant select on guest.peek to public""")
    try:
        done = adoption.adopt(original, ORIGINAL)

        assert "the view guest.peek" in done.followed
        owner = "select relowner::regrole::text as owner from pg_class where oid = 'guest.peek'::regclass"
        assert rows(original, owner) == [{"owner": "adoption_guest"}]
    finally:
        with psycopg.connect(original, autocommit=True) as connection:
            connection.execute("drop owned by adoption_guest cascade; drop role adoption_guest")


def test_a_look_for_originals_runs_nothing_of_people_with_fewer_rights(original: str) -> None:
    """A view's functions run with the rights of who reads it: `db migrate` looks by itself."""
    with psycopg.connect(original, autocommit=True) as connection:
        connection.execute("""
            drop role if exists adoption_stranger; create role adoption_stranger;
            create schema trap authorization adoption_stranger; set role adoption_stranger;
            create table trap.model_providers (id uuid, api_key_env_var text);
            create function trap.who() returns uuid language plpgsql as
                $$ begin raise exception 'run as %', current_user; end $$;
            create view trap.models as select trap.who() as provider_id""")
    try:
        migrations.migrate(original, "model_registry")
        assert adoption.not_adopted(original, "model_registry") == {ORIGINAL: 3}
    finally:
        with psycopg.connect(original, autocommit=True) as connection:
            connection.execute("drop owned by adoption_stranger cascade; drop role adoption_stranger")
