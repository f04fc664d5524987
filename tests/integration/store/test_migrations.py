"""Migrations apply to an empty Postgres, to a Supabase project, to another schema, and a second time."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import sql

from model_registry.errors import StorageMisconfigured, StorageUnavailable
from model_registry.store import migrations
from model_registry.store import schema as schema_files
from support.database import url_of
from support.schema_objects import objects

ALL = tuple(file.stem for file in sorted(migrations.data_directory("migrations").glob("*.sql")))
FILES = tuple(file.stem for file in sorted(migrations.data_directory("schema").glob("*.sql")))
EVERYTHING = migrations.Migrated(ALL, FILES)
NOTHING = migrations.Migrated((), ())
SCHEMA = "model_registry"


def test_an_empty_database_gets_everything_and_a_second_time_nothing(empty_database: str) -> None:
    assert migrations.status(empty_database, SCHEMA) == migrations.MigrationStatus((), ALL, FILES)

    assert migrations.migrate(empty_database, SCHEMA) == EVERYTHING
    assert migrations.status(empty_database, SCHEMA) == migrations.MigrationStatus(ALL, (), ())
    before = objects(empty_database, SCHEMA)

    assert migrations.migrate(empty_database, SCHEMA) == NOTHING
    assert objects(empty_database, SCHEMA) == before
    assert {kind for kind, found in before.items() if not found} == {"rules", "statistics"}


def test_a_second_time_keeps_the_rows_and_the_identity(migrated: str) -> None:
    migrations.seed(migrated, SCHEMA)

    def contents() -> Any:
        with psycopg.connect(migrated) as connection:
            return connection.execute(f"select {SCHEMA}.registry_snapshot()").fetchone()

    before = contents()
    migrations.migrate(migrated, SCHEMA)
    assert contents() == before
    assert before[0]["tables"]["models"]


@pytest.mark.parametrize("schema", ["pmoves_core", "order", "_x9"])
def test_another_name_of_the_schema_makes_the_same_schema(migrated: str, schema: str) -> None:
    migrations.migrate(migrated, schema)

    one, other = objects(migrated, SCHEMA), objects(migrated, schema)
    assert {name: len(found) for name, found in other.items()} == {name: len(found) for name, found in one.items()}
    if schema == "pmoves_core":  # the others are parts of other words
        assert other == one


def test_two_registries_in_one_database_have_nothing_to_do_with_each_other(empty_database: str) -> None:
    for schema in ("one", "two"):
        migrations.migrate(empty_database, schema)
    migrations.seed(empty_database, "two")

    with psycopg.connect(empty_database, autocommit=True) as connection:
        connection.execute("set search_path to ''")
        rows = connection.execute("select one.registry_snapshot(), two.registry_snapshot()").fetchone()
    assert rows is not None
    assert (rows[0]["revision"], rows[0]["tables"]["models"]) == (0, [])
    assert rows[1]["revision"] >= len(rows[1]["tables"]["models"]) > 0
    assert rows[0]["registry_id"] != rows[1]["registry_id"]


@pytest.mark.parametrize("schema", ["", "Model", "a-b", "a;drop schema x", "1a", "a" * 64, 'x"y', "ä"])
def test_a_name_that_would_need_care_is_refused(empty_database: str, schema: str) -> None:
    for action in (migrations.migrate, migrations.status, migrations.seed):
        with pytest.raises(StorageMisconfigured, match="cannot be a schema's name"):
            action(empty_database, schema)


def test_they_apply_without_a_superuser_where_supabases_roles_are_there(empty_database: str) -> None:
    """On Supabase the owner of a project is no superuser, the roles exist, and service_role bypasses row security."""
    owner = f"owner_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(empty_database, autocommit=True) as administrator:
        name = administrator.info.dbname
        administrator.execute(sql.SQL("create role {} login createrole").format(sql.Identifier(owner)))
        administrator.execute(
            sql.SQL("alter database {} owner to {}").format(sql.Identifier(name), sql.Identifier(owner))
        )
        administrator.execute("alter role service_role bypassrls")
        try:
            url = url_of(empty_database, database=name, role=owner)
            assert migrations.migrate(url, SCHEMA) == EVERYTHING
            assert migrations.migrate(url, SCHEMA) == NOTHING
            assert migrations.seed(url, SCHEMA)
            administrator.execute("set role service_role")
            rows = administrator.execute(f"select {SCHEMA}.registry_write('[]', 0)").fetchone()
            assert rows is not None
            assert len(rows[0]["changes"]) == rows[0]["revision"]
        finally:
            administrator.execute("reset role")
            administrator.execute("alter role service_role nobypassrls")
            administrator.execute(sql.SQL("reassign owned by {} to postgres").format(sql.Identifier(owner)))
            administrator.execute(sql.SQL("drop owned by {}").format(sql.Identifier(owner)))
            administrator.execute(sql.SQL("drop role {}").format(sql.Identifier(owner)))


def test_two_that_migrate_at_once_apply_everything_once(empty_database: str) -> None:
    with ThreadPoolExecutor(3) as pool:
        applied = list(pool.map(lambda _: migrations.migrate(empty_database, SCHEMA), range(3)))

    assert sorted(applied, key=lambda done: len(done.migrations)) == [NOTHING, NOTHING, EVERYTHING]
    assert migrations.status(empty_database, SCHEMA) == migrations.MigrationStatus(ALL, (), ())


def test_a_migration_that_fails_leaves_the_ones_before_it(
    empty_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("migrations", "schema"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(schema_files, "set_access", lambda *_: None)  # for its test see test_database_access.py
    (tmp_path / "migrations" / "0001_good.sql").write_text("create table good (id integer);")
    bad = tmp_path / "migrations" / "0002_bad.sql"
    bad.write_text("-- depends: 0001_good\ncreate table bad (id integer); select 1 / 0;")
    monkeypatch.setattr(migrations, "data_directory", lambda name: tmp_path / name)

    with pytest.raises(StorageMisconfigured, match=r"rolled back.*division by zero"):
        migrations.migrate(empty_database, SCHEMA)
    assert migrations.status(empty_database, SCHEMA) == migrations.MigrationStatus(("0001_good",), ("0002_bad",), ())
    with psycopg.connect(empty_database) as connection:
        tables = connection.execute("select tablename from pg_tables where schemaname = %s", [SCHEMA]).fetchall()
    assert ("good",) in tables
    assert ("bad",) not in tables

    bad.write_text("-- depends: 0001_good\ncreate table bad (id integer);")
    assert migrations.migrate(empty_database, SCHEMA) == migrations.Migrated(("0002_bad",), ())


def test_migrations_are_numbered_named_and_in_a_row() -> None:
    files = sorted(migrations.data_directory("migrations").glob("*.sql"))

    assert [file.name[:4] for file in files] == [f"{i:04}" for i in range(1, len(files) + 1)]
    for before, file in pairwise(files):
        assert f"-- depends: {before.stem}\n" in file.read_text()


def test_a_server_that_is_away_is_said_without_the_password() -> None:
    for action in (migrations.migrate, migrations.status, migrations.seed):
        with pytest.raises(StorageUnavailable, match="DATABASE_URL") as caught:
            action("postgresql://someone:hunter2@127.0.0.1:9/registry", SCHEMA)
        assert "hunter2" not in str(caught.value)


def test_a_role_that_may_not_is_said(empty_database: str) -> None:
    url = url_of(empty_database, database=urlsplit(empty_database).path[1:], role="authenticator")

    with pytest.raises(StorageMisconfigured, match="permission denied"):
        migrations.migrate(url, SCHEMA)


def test_a_password_is_set_whatever_it_holds(empty_database: str) -> None:
    with psycopg.connect(empty_database, autocommit=True) as administrator:
        administrator.execute("create role of_this_test")
        try:
            migrations.set_password(empty_database, "of_this_test", "it's \\ a 'password'")
            row = administrator.execute(
                "select rolcanlogin, rolpassword like 'SCRAM-SHA-256$%' from pg_authid where rolname = 'of_this_test'"
            ).fetchone()
            assert row == (True, True)
        finally:
            administrator.execute("drop role of_this_test")
