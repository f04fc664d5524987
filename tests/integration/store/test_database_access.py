"""Privileges in the database, object by object, where default privileges grant everything to everyone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from model_registry.errors import StorageMisconfigured
from model_registry.store import migrations
from support.database import new_database
from support.paths import FIXTURES

CATALOGUE = {
    *("model_providers", "model_categories", "models", "model_aliases", "functions", "service_model_mappings"),
    *("model_deployments", "gpu_nodes", "model_services", "service_instances", "model_sources", "source_answers"),
    *("gateways", "config_sections", "config_files"),
    *("v_active_models", "v_service_models", "v_active_deployments"),
}
PRIVATE = {
    "api_keys",
    "registry_changes",
    "registry_identity",
    "rejected_events",
    "fleet_watch",
    "service_jobs",
    "source_turns",
}
OF_THE_RUNNER = {"_yoyo_log", "_yoyo_migration", "_yoyo_version", "yoyo_lock", "schema_files"}
READS = {(name, "SELECT") for name in CATALOGUE}
MADE_SINCE = {
    (table, "SELECT")
    for table in ("model_services", "service_instances", "model_sources", "source_answers", "gateways")
}
"""Tables that the version of the fixture did not have: who asked for open reads then is asked again."""
ANYBODY = ("anon", "authenticated")
SCHEMAS = ("public", "model_registry")

TABLE_PRIVILEGES = ["SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER", "MAINTAIN"]
COLUMN_PRIVILEGES = ["SELECT", "INSERT", "UPDATE", "REFERENCES"]

EARLIER = FIXTURES / "databases" / "0015.sql"

THEIRS = """
    create table theirs (id integer primary key, secret text);
    create view their_view as select id from theirs;
    create sequence their_sequence;
    create function their_function() returns integer language sql as 'select 1';
"""
"""Objects of another owner in the same schema."""


@pytest.fixture
def server(stack: Any) -> Iterator[str]:
    with new_database(stack.environment()["DATABASE_URL"]) as url:
        yield url


def supabase(url: str, schema: str) -> None:
    """Make it like a Supabase project's database: everyone is granted access to all new objects of the schema."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"create schema if not exists {schema}")
        connection.execute(f"set search_path to {schema}")
        for kind in ("tables", "routines", "sequences"):
            connection.execute(
                f"alter default privileges in schema {schema} grant all on {kind} to anon, authenticated, service_role"
            )
        connection.execute(THEIRS)


def rights(url: str, schema: str, role: str) -> set[tuple[str, str]]:
    """All privileges of a role on the registry's objects of the schema."""
    query = """
        with relation as (
            select c.oid, relname, relkind from pg_class c
            where relnamespace = %(schema)s::regnamespace and relkind in ('r', 'p', 'v', 'm', 'f', 'S')
        )
        select relname, p from relation, unnest(%(tables)s::text[]) p
            where relkind <> 'S' and has_table_privilege(%(role)s, oid, p)
        union select relname, p from relation, unnest(%(columns)s::text[]) p
            where relkind <> 'S' and has_any_column_privilege(%(role)s, oid, p)
        union select relname, p from relation, unnest('{USAGE,SELECT,UPDATE}'::text[]) p
            where relkind = 'S' and has_sequence_privilege(%(role)s, oid, p)
        union select proname, 'EXECUTE' from pg_proc
            where pronamespace = %(schema)s::regnamespace and has_function_privilege(%(role)s, oid, 'EXECUTE')
        union select '(the schema)', 'CREATE' where has_schema_privilege(%(role)s, %(schema)s, 'CREATE')"""
    values = {"schema": schema, "role": role, "tables": TABLE_PRIVILEGES, "columns": COLUMN_PRIVILEGES}
    with psycopg.connect(url) as connection:
        found = {(row[0], row[1]) for row in connection.execute(query, values).fetchall()}
    return {(name, right) for name, right in found if not name.startswith("their")}


def everybodys(url: str, schema: str) -> dict[str, set[tuple[str, str]]]:
    return {role: rights(url, schema, role) for role in (*ANYBODY, "registry_reader")}


CLOSED = {"anon": set(), "authenticated": set(), "registry_reader": READS}
OPEN = {"anon": READS, "authenticated": READS, "registry_reader": READS}


def of_others(url: str, schema: str) -> list[Any]:
    """The privileges on objects of another owner, as stored by Postgres."""
    with psycopg.connect(url) as connection:
        return connection.execute(
            """select relname, array(select unnest(relacl)::text order by 1), relrowsecurity from pg_class
               where relnamespace = %(s)s::regnamespace and relname like 'their%%'
               union all select proname, array(select unnest(proacl)::text order by 1), null from pg_proc
               where pronamespace = %(s)s::regnamespace and proname like 'their%%' order by 1""",
            {"s": schema},
        ).fetchall()


@pytest.mark.parametrize("schema", SCHEMAS)
def test_each_object_has_exactly_the_rights_that_were_asked_for(server: str, schema: str) -> None:
    supabase(server, schema)
    others = of_others(server, schema)
    assert ("their_function", "EXECUTE") not in rights(server, schema, "anon"), "theirs are left out"

    for asked, expected in ((None, CLOSED), (True, OPEN), (None, OPEN), (False, CLOSED), (None, CLOSED)):
        migrations.migrate(server, schema, public_reads=asked)

        assert everybodys(server, schema) == expected, asked
        assert migrations.open_to(server, schema) == (ANYBODY if expected is OPEN else ())
    assert of_others(server, schema) == others


@pytest.mark.parametrize("schema", SCHEMAS)
def test_the_service_may_do_what_it_does(server: str, schema: str) -> None:
    migrations.migrate(server, schema)
    with psycopg.connect(server) as connection:
        functions = {
            row[0]
            for row in connection.execute(
                "select proname from pg_proc where pronamespace = %s::regnamespace", [schema]
            ).fetchall()
        }
    tables = (CATALOGUE | PRIVATE) - {name for name in CATALOGUE if name.startswith("v_")}

    allowed = rights(server, schema, "service_role")

    assert {name for name, right in allowed if right == "EXECUTE"} == functions
    for right in ("SELECT", "INSERT", "UPDATE", "DELETE"):
        expected = tables | CATALOGUE if right == "SELECT" else tables
        assert {name for name, given in allowed if given == right} >= expected
    assert not {name for name, right in allowed if right in ("TRUNCATE", "REFERENCES", "TRIGGER", "CREATE")}
    assert not {name for name, _ in allowed} & OF_THE_RUNNER


def made_before(url: str, schema: str) -> None:
    """A database of an earlier version, in which everyone could read the catalogue and no privileges were revoked."""
    text = EARLIER.read_text()
    with psycopg.connect(url) as connection:
        if connection.execute("select to_regnamespace(%s)", [schema]).fetchone() != (None,):
            text = text.replace(f"CREATE SCHEMA {SCHEMAS[-1]};", "")
        connection.execute(text.replace(SCHEMAS[-1], schema).encode())


def execute(url: str, schema: str, *statements: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"set search_path to {schema}")
        for statement in statements:
            connection.execute(statement.encode())


@pytest.mark.parametrize("schema", SCHEMAS)
def test_a_registry_in_use_keeps_its_readers_and_loses_all_else(server: str, schema: str) -> None:
    supabase(server, schema)
    made_before(server, schema)
    execute(server, schema, "revoke all on config_files from anon", "drop policy readers on models")
    # The reason: on Supabase everyone could write the tables of the migration runner, and call every function.
    assert {("_yoyo_migration", "INSERT"), ("registry_write", "EXECUTE")} <= rights(server, schema, "anon")

    migrations.migrate(server, schema)

    reads = READS - MADE_SINCE - {("models", "SELECT")}
    assert everybodys(server, schema) == {
        "anon": reads - {("config_files", "SELECT")},
        "authenticated": reads,
        "registry_reader": READS,
    }
    assert migrations.open_to(server, schema) == ANYBODY
    migrations.migrate(server, schema, public_reads=False)
    assert everybodys(server, schema) == CLOSED


def test_one_in_which_nothing_was_ever_written_is_closed_although_it_was_open_before(server: str) -> None:
    made_before(server, "model_registry")
    execute(server, "model_registry", "select setval('registry_revision', 1, false)")
    assert rights(server, "model_registry", "anon") == READS - MADE_SINCE

    migrations.migrate(server, "model_registry")

    assert everybodys(server, "model_registry") == CLOSED


@pytest.mark.parametrize("fails", ["nothing", "migrations/9001_bad.sql", "schema/95_bad.sql"])
def test_what_later_migrations_make_is_closed_too(server: str, files: Path, fails: str) -> None:
    supabase(server, "public")
    migrations.migrate(server, "public")
    (files / "migrations" / "9000_more.sql").write_text(
        """create table more (id bigint generated always as identity);
           create sequence if not exists more_numbers;
           create or replace function more_is_done(how text) returns text language sql as 'select how';
           create function more_is_done(how integer) returns integer language sql as 'select how';
           create view v_more as select id from more;"""
    )
    if fails != "nothing":
        (files / fails).write_text("-- depends: 9000_more\nselect 1 / 0;")
        with pytest.raises(StorageMisconfigured, match="division by zero"):
            migrations.migrate(server, "public")
    else:
        migrations.migrate(server, "public")

    assert {name for name, _ in rights(server, "public", "service_role")} >= {"more", "more_numbers", "more_is_done"}
    assert (rights(server, "public", "anon"), rights(server, "public", "authenticated")) == (set(), set())
    assert ("v_more", "SELECT") in rights(server, "public", "service_role")


def test_what_a_migration_made_has_its_rights_and_is_not_taken_for_a_part_of_schema(server: str, files: Path) -> None:
    """What was made by schema/ is dropped when schema/ no longer has it."""
    (files / "migrations" / "9000_more.sql").write_text(
        "create function more_is_done() returns integer language sql as 'select 1';"
    )

    migrations.migrate(server, "public")

    assert ("more_is_done", "EXECUTE") in rights(server, "public", "service_role")
    with psycopg.connect(server) as connection:
        made = connection.execute("select thing from public.schema_files, unnest(objects) thing").fetchall()
    assert ("function registry_write(jsonb,bigint,text,text,bigint)",) in made
    assert ("function more_is_done()",) not in made


@pytest.mark.parametrize("schema", SCHEMAS)
def test_when_the_first_migration_to_here_fails_readers_keep_what_they_had(
    server: str, schema: str, files: Path
) -> None:
    """schema/ was never applied then, and nothing in the database says what the catalogue is."""
    supabase(server, schema)
    made_before(server, schema)
    (files / "migrations" / "0010_bad.sql").write_text("-- depends: 0006_default_categories\nselect 1 / 0;")
    first = files / "migrations" / "0007_schema_files.sql"
    first.write_text(first.read_text().replace("-- depends: 0006_default_categories", "-- depends: 0010_bad"))

    with pytest.raises(StorageMisconfigured, match="division by zero"):
        migrations.migrate(server, schema)

    assert everybodys(server, schema) == {role: reads - MADE_SINCE for role, reads in OPEN.items()}


def test_a_script_that_grants_everything_opens_nothing(migrated: str) -> None:
    """Supabase recommends such a script for custom schemas."""
    migrations.seed(migrated, "model_registry")
    with psycopg.connect(migrated, autocommit=True) as connection:
        for kind in ("tables", "routines", "sequences"):
            connection.execute(f"grant all on all {kind} in schema model_registry to anon, authenticated".encode())
        connection.execute("set search_path to model_registry; set role anon")
        for name in CATALOGUE | PRIVATE | OF_THE_RUNNER:
            assert connection.execute(f"select count(*) from {name}".encode()).fetchone() == (0,), name  # noqa: S608
        for statement in (
            "insert into _yoyo_migration (migration_hash) values ('x')",
            "insert into api_keys (name, key_hash, scopes) values ('x', 'x', '[\"admin\"]')",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege, match="row-level security"):
                connection.execute(statement.encode())

    migrations.migrate(migrated, "model_registry")

    assert everybodys(migrated, "model_registry") == CLOSED


def test_asking_how_far_migrations_are_opens_nothing(server: str) -> None:
    supabase(server, "public")

    migrations.status(server, "public")

    assert (rights(server, "public", "anon"), rights(server, "public", "service_role")) == (set(), set())


def test_a_table_that_somebody_holds_is_said_and_nothing_is_half_open(migrated: str) -> None:
    with psycopg.connect(migrated) as somebody:
        somebody.execute("lock table model_registry.models in row exclusive mode")

        with pytest.raises(StorageMisconfigured, match=r"refused.*lock timeout"):
            migrations.migrate(migrated, "model_registry", public_reads=True, lock_timeout="100ms")

        assert everybodys(migrated, "model_registry") == CLOSED


def test_no_function_has_its_owners_rights(database: psycopg.Connection) -> None:
    query = "select proname from pg_proc where pronamespace = 'model_registry'::regnamespace and prosecdef"

    assert database.execute(query).fetchall() == []
