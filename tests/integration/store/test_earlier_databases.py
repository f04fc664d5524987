"""A database made by migrations 0001 to 0015, before functions moved to schema/, becomes what a new one is.

Where it starts from is `tests/fixtures/databases/0015.sql`, with rows in every table; what the service of that time
asks of it is in `0015-calls.json`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import jwt
import psycopg
import pytest
from psycopg import sql

from model_registry.devstack.ports import choose_port
from model_registry.devstack.postgrest import Postgrest
from model_registry.errors import StorageMisconfigured
from model_registry.store import migrations
from model_registry.store import schema as schema_files
from support import paths
from support.database import new_database, url_of
from support.replica import running_replica
from support.schema_objects import objects
from support.waiting import until

SCHEMA = "model_registry"
FIXTURES = paths.FIXTURES / "databases"
SECRET = "of these tests only, and long enough for HS256"  # noqa: S105 (of a server that lives as long as a test)
NEW = tuple(sorted(file.stem for file in migrations.data_directory("migrations").glob("*.sql"))[6:])
"""The migrations that take no place of the first 15."""
SINCE_0019 = NEW[NEW.index("0010_deployment_links") :]
"""Those that the last development version did not have either."""
RUNNERS = "^_?yoyo|^schema_files$"
"""The tables in which the runner of migrations keeps books."""


@pytest.fixture(scope="module")
def template(stack: Any) -> Iterator[str]:
    with new_database(stack.environment()["DATABASE_URL"]) as url:
        with psycopg.connect(url) as connection:
            connection.execute((FIXTURES / "0015.sql").read_bytes())
        yield url


@pytest.fixture
def earlier_database(template: str, stack: Any) -> Iterator[str]:
    """A database as the version before left it."""
    with new_database(stack.environment()["DATABASE_URL"], like=template) as url:
        yield url


def contents(url: str) -> dict[str, list[Any]]:
    """Every row of every table, with the system column that moves when a row is written."""
    query = "select relname from pg_class where relnamespace = %s::regnamespace and relkind = 'r' and relname !~ %s"
    with psycopg.connect(url) as connection:
        tables = [row[0] for row in connection.execute(query, [SCHEMA, RUNNERS]).fetchall()]
        found = {
            table: connection.execute(
                sql.SQL("select xmin, to_json(t)::text from {} t order by 2").format(sql.Identifier(SCHEMA, table))
            ).fetchall()
            for table in tables
        }
        sequences = "select sequencename, last_value from pg_sequences where schemaname = %s order by 1"
        return found | {"sequences": connection.execute(sequences, [SCHEMA]).fetchall()}


def test_it_ends_equal_to_a_new_one_object_by_object(earlier_database: str, migrated: str) -> None:
    files = migrations.status(earlier_database, SCHEMA).outdated
    migrations.migrate(migrated, SCHEMA, public_reads=True)  # as it was: it is in use
    expected = objects(migrated, SCHEMA)

    assert migrations.status(earlier_database, SCHEMA).pending == NEW
    assert migrations.migrate(earlier_database, SCHEMA) == migrations.Migrated(NEW, files)
    migrations.migrate(earlier_database, SCHEMA, public_reads=True)  # tables that were made since are closed until then

    found = objects(earlier_database, SCHEMA)
    for kind, wanted in expected.items():
        assert found[kind] == wanted, kind
    assert migrations.status(earlier_database, SCHEMA) == migrations.status(migrated, SCHEMA)
    assert migrations.migrate(earlier_database, SCHEMA) == migrations.Migrated((), ())


def _without_columns(row: str, columns: dict[str, Any]) -> str:
    """A row's text without columns that have these values, as every row has that was there before them."""
    for name, value in columns.items():
        given = f',"{name}":{json.dumps(value)}'
        assert row.count(given) == 1
        row = row.replace(given, "")
    return row


def test_every_row_the_revision_and_the_identity_are_kept(earlier_database: str) -> None:
    before = contents(earlier_database)
    assert all(before.values())

    migrations.migrate(earlier_database, SCHEMA)

    after = contents(earlier_database)
    after["registry_changes"] = [(xmin, row.replace(',"entry_id":null', "")) for xmin, row in after["registry_changes"]]
    deployments = [json.loads(row) for _, row in after.pop("model_deployments")]
    added = [{name: row.pop(name) for name in ("model_ids", "model_given", "address")} for row in deployments]
    assert deployments == [json.loads(row) for _, row in before.pop("model_deployments")]
    assert [(row["model_ids"], row["model_given"]) for row in added] == [([], False)] * len(added)
    made = {"model_services", "service_instances", "service_jobs", "model_sources", "source_answers", "source_turns"}
    assert [json.loads(row)["name"] for _, row in after.pop("gateways")] == ["tensorzero"]
    assert not any(after.pop(table) for table in made)
    after["models"] = [(xmin, row.replace(',"missing_since":null', "")) for xmin, row in after["models"]]
    after["api_keys"] = [(xmin, row.replace(',"services":null', "")) for xmin, row in after["api_keys"]]
    gateway: dict[str, Any] = {"gateway": "tensorzero"}
    since: dict[str, dict[str, Any]] = {
        "functions": gateway | {"project": None, "litellm": {}},
        "config_sections": gateway | {"projects": {}},
        "config_files": gateway | {"project": None},
        "model_providers": {"only_with_key": False, "litellm": {}},
        "models": {"litellm": {}},
        "service_model_mappings": {"litellm": {}},
    }
    for table, columns in since.items():
        after[table] = [(xmin, _without_columns(row, columns)) for xmin, row in after[table]]
    watch = ',"instances_renewed_at":null,"instances_watched_since":null'
    after["fleet_watch"] = [(xmin, row.replace(watch, "")) for xmin, row in after["fleet_watch"]]
    assert after == before
    with psycopg.connect(earlier_database) as connection:
        connection.execute(f"set search_path to {SCHEMA}")
        newest = max(json.loads(row)["revision"] for _, row in before["registry_changes"])
        alias = json.loads(before["model_aliases"][0][1])["id"]
        operations = json.dumps([{"table": "model_aliases", "action": "delete", "id": alias}])
        row = connection.execute("select registry_write(%s::jsonb, %s)", [operations, newest]).fetchone()
    assert row is not None
    assert row[0]["revision"] == newest + 1
    assert [change["operation"] for change in row[0]["changes"]] == ["delete"]
    assert row[0]["registry_id"] == json.loads(before["registry_identity"][0][1])["id"]


def test_the_version_before_sees_nothing_left_to_apply(earlier_database: str) -> None:
    """Its `db migrate` may run again while services of both versions are up."""
    names = "select migration_id from model_registry._yoyo_migration where migration_id ~ '^00'"
    with psycopg.connect(earlier_database) as connection:
        before = {row[0] for row in connection.execute(names).fetchall()}
        assert len(before) == 15

    migrations.migrate(earlier_database, SCHEMA)

    with psycopg.connect(earlier_database) as connection:
        assert {row[0] for row in connection.execute(names).fetchall()} > before


@pytest.mark.parametrize("place", ["0015_routed_first", "0014_fleet_repairs .. 0015_routed_first"])
def test_what_takes_the_place_of_earlier_migrations_counts_as_applied(
    earlier_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    (tmp_path / "schema").mkdir()
    (tmp_path / "migrations").mkdir()
    monkeypatch.setattr(schema_files, "set_access", lambda *_: None)
    (tmp_path / "migrations" / "0100_replacing.sql").write_text(f"-- replaces: {place}\n\nselect 1 / 0;\n")
    monkeypatch.setattr(migrations, "data_directory", lambda name: tmp_path / name)

    assert migrations.status(earlier_database, SCHEMA).applied == ("0100_replacing",)
    assert migrations.migrate(earlier_database, SCHEMA) == migrations.Migrated((), ())
    assert migrations.status(earlier_database, SCHEMA).applied == ("0100_replacing",)


def test_one_that_lacks_some_of_its_migrations_is_refused_and_left_alone(earlier_database: str) -> None:
    with psycopg.connect(earlier_database) as connection:
        connection.execute("delete from model_registry._yoyo_migration where migration_id = '0015_routed_first'")
    before = objects(earlier_database, SCHEMA)

    for action in (migrations.migrate, migrations.status):
        with pytest.raises(StorageMisconfigured, match=r"up to 0015_routed_first.*of that version first"):
            action(earlier_database, SCHEMA)
    after = objects(earlier_database, SCHEMA)
    for kind in before.keys() - {"relations", "rights", "policies"}:  # grants are set in any case
        assert after[kind] == before[kind], kind


MADE_BY_0019 = """
    insert into _yoyo_migration (migration_hash, migration_id)
        select id, id from unnest('{0016_entry_ids,0017_fleet_limits,0018_closed_reads,0019_log_pages}'::text[]) id;
    alter table registry_changes add column entry_id bigint;
    alter table registry_changes alter column entry_id set default 1 + (random() * 9e18)::bigint;
    comment on column registry_changes.entry_id is
        'Random: no restored backup gives the same revision the same id again. '
        'Null: made before there were ids; see registry_entry_id.';
    drop function registry_write(jsonb, bigint, text, text);
    create function registry_write(
        operations jsonb, known_revision bigint, actor text default null, origin text default null,
        known_entry bigint default null)
    returns json language sql as 'select null::json';
    drop trigger m_link_updated on models;
    create function link_deployments_of_updated() returns trigger language plpgsql as 'begin return null; end';
    create trigger m_link_updated after update on models referencing old table as old_rows new table as new_rows
        for each statement execute function link_deployments_of_updated();
"""
"""What a development version between the two had, in short; it was never released."""


def test_one_of_the_development_version_between_comes_over_too(earlier_database: str, migrated: str) -> None:
    with psycopg.connect(earlier_database) as connection:
        connection.execute(f"set search_path to {SCHEMA}")
        connection.execute(MADE_BY_0019.encode())
    migrations.migrate(migrated, SCHEMA, public_reads=True)
    expected = objects(migrated, SCHEMA)

    assert migrations.migrate(earlier_database, SCHEMA).migrations == ("0007_schema_files", *SINCE_0019)
    migrations.migrate(earlier_database, SCHEMA, public_reads=True)

    found = objects(earlier_database, SCHEMA)
    for kind, wanted in expected.items():
        assert found[kind] == wanted, kind


MADE_ANEW = (
    *("m_link_inserted", "m_link_updated", "m_link_deleted"),  # on models: one function links for two of them
    *("registry_changes_since", "registry_write", "registry_write_alone"),  # these take the id of the known entry,
    *("registry_record_events", "registry_expire_nodes"),
    "registry_add_default_categories",  # nobody called it
    *("link_deployments_of_deleted", "registry_insert", "registry_merge_many_events"),  # others do what they did
)
"""Triggers and functions that are others than before, on purpose."""


def test_what_is_there_keeps_its_identity(earlier_database: str) -> None:
    """Recreating a trigger or a policy waits for all users of the table, and all others wait for it."""
    untouched = """
        select 'trigger', t.oid::text, t.xmin::text, tgname from pg_trigger t where not tgisinternal
            and not (tgname = any (%(anew)s) and tgrelid = 'model_registry.models'::regclass)
        union all select 'policy', oid::text, xmin::text, polname from pg_policy
        union all select 'function', oid::text, '', proname from pg_proc
        where pronamespace = 'model_registry'::regnamespace and not proname = any(%(anew)s)"""
    with psycopg.connect(earlier_database, autocommit=True) as connection:

        def found() -> set[Any]:
            return set(connection.execute(untouched.encode(), {"anew": list(MADE_ANEW)}).fetchall())

        before = found()
        migrations.migrate(earlier_database, SCHEMA)

        assert {kind for kind, *_ in before} == {"trigger", "policy", "function"}
        assert before - found() == set()


async def test_a_reader_who_is_there_is_waited_for(earlier_database: str) -> None:
    """A table of this version has a column more, and for that nobody may read it. Later versions need not wait."""
    waits = "select count(*) from pg_locks where not granted and relation is not null"
    async with await psycopg.AsyncConnection.connect(earlier_database) as reader:
        await reader.execute(f"select {SCHEMA}.registry_snapshot()")
        migrating = asyncio.create_task(asyncio.to_thread(migrations.migrate, earlier_database, SCHEMA))

        async def is_waiting() -> bool:
            return await (await reader.execute(waits)).fetchone() != (0,)

        await until(is_waiting)
        await reader.execute(f"select {SCHEMA}.registry_change_page(0, null, null, 5)")
        await reader.commit()

        assert (await migrating).migrations == NEW


# The service before the change ----------------------------------------------------------------------------------------


@pytest.fixture
def postgrest(earlier_database: str, tmp_path: Path) -> Iterator[Postgrest]:
    """PostgREST in front of that database, from before it is migrated."""
    name = urlsplit(earlier_database).path[1:]
    port = choose_port(None, taken=set())
    server = Postgrest(
        tmp_path / "postgrest",
        tmp_path / "postgrest.log",
        port=port,
        admin_port=choose_port(None, taken={port}),
        database_url=url_of(earlier_database, database=name, role="authenticator"),
        schema=SCHEMA,
        jwt_secret=SECRET,
    )
    server.start()
    yield server
    server.stop()


async def test_what_the_service_before_calls_can_be_called_before_during_and_after(
    earlier_database: str, postgrest: Postgrest
) -> None:
    asked = json.loads((FIXTURES / "0015-calls.json").read_text())
    key = jwt.encode({"role": "service_role"}, SECRET, algorithm="HS256")
    rounds = 0

    async def ask_on() -> None:
        nonlocal rounds
        while True:
            for function, arguments in asked["calls"]:
                answer = await client.post(f"/rpc/{function}", json=arguments)
                assert answer.status_code == 200, (function, answer.text)
            for view, columns in asked["views"].items():
                answer = await client.get(f"/{view}", params={"select": ",".join(columns)})
                assert answer.status_code == 200, (view, answer.text)
                assert answer.json(), view
            rounds += 1

    async def until_asked_again(times: int = 2) -> None:
        enough = rounds + times

        async def has_been() -> bool:
            return rounds >= enough or asking.done()

        await until(has_been)

    headers = {"Authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(base_url=postgrest.url, headers=headers, trust_env=False) as client:
        asking = asyncio.create_task(ask_on())
        await until_asked_again()
        await asyncio.to_thread(migrations.migrate, earlier_database, SCHEMA)
        await until_asked_again()
        asking.cancel()
        with suppress(asyncio.CancelledError):
            await asking


async def test_a_service_that_was_started_too_soon_says_so_and_goes_on_once_it_is_brought_over(
    earlier_database: str, postgrest: Postgrest, tmp_path: Path
) -> None:
    environment = {
        "POSTGREST_URL": postgrest.url,
        "POSTGREST_KEY": postgrest.service_key,
        "MODEL_REGISTRY_CACHE_DIR": tmp_path / "cache",
        "MODEL_REGISTRY_CHECK_WITH_GATEWAY": False,
    }
    async with running_replica(environment) as replica:
        migrating = asyncio.create_task(asyncio.to_thread(migrations.migrate, earlier_database, SCHEMA))
        written: list[str] = []
        while not migrating.done() or len(written) < 3:
            body = {"name": f"written-{len(written)}", "type": "openai"}
            answer = await replica.client.post("/api/providers", json=body)
            if not written and answer.status_code == httpx.codes.INTERNAL_SERVER_ERROR:
                assert "model-registry db migrate" in answer.text
                continue
            assert answer.status_code == 201, answer.text
            written.append(body["name"])
        await migrating
        names = {item["name"] for item in (await replica.client.get("/api/providers?limit=1000")).json()["items"]}
    assert names >= {"ollama", "openai", *written}
