"""schema/ is applied as a whole, only if it has changed, and objects that it no longer defines are dropped."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from model_registry.errors import StorageMisconfigured
from model_registry.snapshot.table_specs import SPECS
from model_registry.store import migrations
from model_registry.store.migrations import Migrated
from support.schema_objects import objects

SCHEMA = "model_registry"


def execute(url: str, query: str) -> list[Any]:
    """Run SQL as an administrator; answers the first column."""
    with psycopg.connect(url) as connection:
        connection.execute(f"set search_path to {SCHEMA}")
        cursor = connection.execute(query.encode())
        return [row[0] for row in cursor.fetchall()] if cursor.description else []


def functions(url: str) -> set[str]:
    """All functions with their arguments."""
    return set(
        execute(url, "select oid::regprocedure::text from pg_proc where pronamespace = 'model_registry'::regnamespace")
    )


def change(file: Path, edit: Callable[[str], str]) -> None:
    before = file.read_text()
    assert edit(before) != before
    file.write_text(edit(before))


def append(file: Path, text: str) -> None:
    change(file, lambda before: before + text)


MORE = "known_entry bigint default null, more uuid default null"
ONE = "\ncreate or replace function registry_new(a integer) returns integer language sql as $$ select a $$;\n"


def test_a_changed_file_is_applied_and_an_unchanged_one_never_again(files: Path, migrated: str) -> None:
    append(files / "schema" / "40_history.sql", ONE)

    assert migrations.status(migrated, SCHEMA).outdated == ("40_history",)
    assert migrations.migrate(migrated, SCHEMA) == Migrated((), ("40_history",))
    assert "registry_new(integer)" in functions(migrated)
    assert migrations.status(migrated, SCHEMA).outdated == ()

    execute(migrated, "drop function registry_new(integer)")
    assert migrations.migrate(migrated, SCHEMA) == Migrated((), ())
    assert "registry_new(integer)" not in functions(migrated)


def test_after_a_migration_everything_is_applied_again(files: Path, migrated: str) -> None:
    """A table that a migration recreates has no triggers, grants or policies."""
    before = objects(migrated, SCHEMA)
    (files / "migrations" / "0999_anew.sql").write_text("""
        -- depends: 0014_other_models
        create table anew (like config_files including all);
        drop table config_files;
        alter table anew rename to config_files;
    """)

    done = migrations.migrate(migrated, SCHEMA)

    assert done.migrations == ("0999_anew",)
    assert "85_triggers" in done.schema_files
    after = objects(migrated, SCHEMA)
    for kind in ("triggers", "policies", "rights", "functions"):
        assert after[kind] == before[kind], kind


def test_what_a_newer_schema_no_longer_has_is_dropped(files: Path, migrated: str) -> None:
    before = objects(migrated, SCHEMA)
    file = files / "schema" / "45_new.sql"
    file.write_text(
        """
        create or replace function registry_new(a integer) returns integer language sql as $$ select a $$;
        create or replace view v_new as select registry_new(1);
        create or replace view v_newer as select * from v_new;
        create or replace function registry_fired() returns trigger language plpgsql as $$ begin return new; end $$;
        """
    )
    trigger = "create trigger m_new before insert on models for each row execute function registry_fired()"
    triggers = files / "schema" / "85_triggers.sql"
    change(triggers, lambda text: text.replace("wanted text[] := array[", f"wanted text[] := array['{trigger}',"))
    migrations.migrate(migrated, SCHEMA)
    after = objects(migrated, SCHEMA)
    assert [len(after[kind]) - len(before[kind]) for kind in ("functions", "views", "triggers")] == [2, 2, 1]

    file.unlink()
    change(triggers, lambda text: text.replace(f"'{trigger}',", ""))
    assert migrations.status(migrated, SCHEMA).outdated == ("45_new", "85_triggers")
    migrations.migrate(migrated, SCHEMA)

    assert objects(migrated, SCHEMA) == before


MORE = "known_entry bigint default null, more uuid default null"


def test_a_function_that_takes_other_arguments_replaces_the_one_before(files: Path, migrated: str) -> None:
    file = files / "schema" / "30_read.sql"
    change(file, lambda text: text.replace("known_entry bigint default null) returns json", f"{MORE}) returns json"))
    # As of a database that came from before schema/ was: nothing says what was made.
    execute(migrated, "update schema_files set objects = '{}'")

    migrations.migrate(migrated, SCHEMA)

    named = {function for function in functions(migrated) if function.startswith("registry_changes_since")}
    assert named == {"registry_changes_since(bigint,bigint,uuid)"}
    assert execute(migrated, "select registry_changes_since(0) ->> 'revision'") == ["0"]


def test_what_others_made_in_the_same_schema_is_left_alone(files: Path, migrated: str) -> None:
    """A registry may live in a schema with other things, such as public."""
    execute(
        migrated,
        """
        create table theirs (id integer);
        create function their_function() returns trigger language plpgsql as $$ begin return new; end $$;
        create trigger z_theirs before insert on models for each row execute function their_function();
        create view their_view as select id from models;
        create policy theirs on models for select to authenticated using (active);
        grant execute on function their_function() to anon;
        """,
    )
    before = objects(migrated, SCHEMA)
    append(files / "schema" / "00_lists.sql", "\n-- changed\n")

    assert migrations.migrate(migrated, SCHEMA) == Migrated((), ("00_lists",))

    assert objects(migrated, SCHEMA) == before


@pytest.mark.parametrize(
    ("file", "broken"),
    [
        ("95_last", "select 1 / 0;"),
        ("95_last", "create or replace function broken() returns integer language sql as $$ select nothing $$;"),
        ("45_new", "create or replace view v_active_models as select 1 as other;"),
    ],
)
def test_when_a_file_fails_nothing_of_any_file_is_applied(files: Path, migrated: str, file: str, broken: str) -> None:
    before = objects(migrated, SCHEMA)
    append(files / "schema" / "00_lists.sql", ONE)
    (files / "schema" / f"{file}.sql").write_text(broken)

    with pytest.raises(StorageMisconfigured, match="schema/ could not be applied and was rolled back"):
        migrations.migrate(migrated, SCHEMA)

    assert objects(migrated, SCHEMA) == before
    assert migrations.status(migrated, SCHEMA).outdated == ("00_lists", file)


def test_nothing_that_is_as_it_should_be_is_made_again(files: Path, migrated: str) -> None:
    """Creating a trigger or a policy, or enabling row level security, waits for all users of the table.

    And a function that is dropped and created, instead of replaced, is missing for concurrent callers.
    """
    made = """
        select 'trigger ' || oid || ' ' || xmin from pg_trigger where not tgisinternal
        union all select 'policy ' || oid || ' ' || xmin from pg_policy
        union all select 'function ' || oid || ' ' || oid::regprocedure from pg_proc
        where pronamespace = 'model_registry'::regnamespace order by 1"""
    before = execute(migrated, made)
    append(files / "schema" / "00_lists.sql", "\n-- changed\n")

    with psycopg.connect(migrated) as reader:
        reader.execute(f"select {SCHEMA}.registry_snapshot()")
        assert migrations.migrate(migrated, SCHEMA) == Migrated((), ("00_lists",))  # while that transaction is open

    assert execute(migrated, made) == before


def test_what_was_changed_or_lost_by_hand_is_mended_with_the_next_change(files: Path, migrated: str) -> None:
    before = objects(migrated, SCHEMA)
    execute(
        migrated,
        """
        drop trigger a_lock on models;
        drop trigger z_version on gpu_nodes;
        create trigger z_version before update on gpu_nodes for each row execute function registry_count_version();
        drop policy service on models;
        drop policy registry_reader on models;
        create policy registry_reader on models for select to anon using (true);
        create policy readers on api_keys for select to anon using (true);
        grant select on api_keys to anon;
        grant execute on function registry_snapshot to public;
        revoke select on models from registry_reader;
        drop view v_active_deployments;
        create trigger m_again after insert on functions referencing new table as new_rows
            for each statement execute function link_deployments();
        """,
    )
    append(files / "schema" / "00_lists.sql", "\n-- changed\n")

    migrations.migrate(migrated, SCHEMA)

    assert objects(migrated, SCHEMA) == before


def test_everything_in_the_database_is_from_a_file(migrated: str) -> None:
    recorded = execute(migrated, "select thing from schema_files, unnest(objects) thing")
    views = execute(migrated, "select viewname from pg_views where schemaname = 'model_registry'")

    assert len(recorded) == len(set(recorded))
    assert set(recorded) == {f"function {name}" for name in functions(migrated)} | {f"view {name}" for name in views}


def test_there_is_one_list_of_tracked_tables(database: psycopg.Connection) -> None:
    """In SQL; what Python knows of tables is the same."""
    row = database.execute("select registry_tracked_tables(), registry_snapshot()").fetchone()
    assert row is not None
    tracked, snapshot = row
    assert len(tracked) == len(set(tracked))
    assert set(tracked) == SPECS.keys() == snapshot["tables"].keys()


def test_an_older_version_leaves_alone_what_a_newer_one_applied(files: Path, migrated: str) -> None:
    """It may be started once more, with its own `db migrate`, while services of both versions are up."""
    execute(migrated, "update schema_files set version = '99.0'")
    append(files / "schema" / "40_history.sql", ONE)

    assert migrations.status(migrated, SCHEMA).outdated == ()
    assert migrations.migrate(migrated, SCHEMA) == Migrated((), ())
    assert "registry_new(integer)" not in functions(migrated)


def test_what_a_platform_gives_readers_by_default_is_taken_away(files: Path, empty_database: str) -> None:
    """As on Supabase in the schema public."""
    migrations.migrate(empty_database, "plain")
    with psycopg.connect(empty_database) as connection:
        connection.execute(f"create schema {SCHEMA}")
        for things in ("tables", "functions", "sequences"):
            given = f"grant all on {things} to anon, authenticated, service_role"
            connection.execute(f"alter default privileges in schema {SCHEMA} {given}".encode())
    migrations.migrate(empty_database, SCHEMA)
    append(files / "schema" / "40_history.sql", ONE)
    for schema in (SCHEMA, "plain"):
        migrations.migrate(empty_database, schema)

    assert objects(empty_database, SCHEMA)["rights"] == objects(empty_database, "plain")["rights"]
