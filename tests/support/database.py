"""Databases of tests: emptied between two, made anew for one, or with a table on a disk that is nearly full."""

from __future__ import annotations

import os
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from model_registry.snapshot.snapshot import Snapshot
from model_registry.store.client import Database
from model_registry.store.migrations import data_directory

_DEFAULT_CATEGORIES = data_directory("migrations") / "0006_default_categories.sql"
TABLES = (
    *("service_model_mappings", "functions", "model_aliases", "model_deployments", "models", "model_providers"),
    *("model_categories", "gpu_nodes", "config_sections", "config_files", "api_keys", "registry_changes"),
    *(
        "rejected_events",
        "service_instances",
        "model_services",
        "source_turns",
        "source_answers",
        "model_sources",
        "service_jobs",
        "gateways",
    ),
)


def empty(database_url: str, schema: str) -> None:
    """Make it a new registry, empty except for its categories: holders of a snapshot must reload it.

    DELETE and not TRUNCATE: of tables with a few rows it takes a tenth of the time.
    """
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(f"set search_path to {schema}")
        # Triggers do not fire for a replica, those of foreign keys and of the change log among them.
        connection.execute("set session_replication_role = replica")
        connection.execute("; ".join(f"delete from {table}" for table in TABLES).encode())  # noqa: S608 (names of ours)
        connection.execute(_DEFAULT_CATEGORIES.read_bytes())
        connection.execute(
            "insert into gateways (name, kind, content_of) values ('tensorzero', 'tensorzero', 'tensorzero')"
        )
        connection.execute("update registry_identity set id = gen_random_uuid(), history_from = 0")
        connection.execute("delete from fleet_watch; insert into fleet_watch default values")


async def fresh(connection: Database) -> Snapshot:
    """What a service that starts now would load."""
    return Snapshot.from_document(await connection.call("registry_snapshot"))


def url_of(url: str, *, database: str, role: str = "postgres") -> str:
    """The address of another database, or another role, on the same server."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{role}@{parts.netloc.rpartition('@')[2]}", path=f"/{database}"))


@contextmanager
def new_database(server: str, *, like: str | None = None) -> Iterator[str]:
    """A new database on this server, empty or a copy of another: its address."""
    name, template = f"test_{uuid.uuid4().hex[:8]}", urlsplit(like).path[1:] if like else "template1"
    quoted = sql.Identifier(name)
    create = sql.SQL("create database {} template {}").format(quoted, sql.Identifier(template))
    _administer(server, create)
    try:
        yield url_of(server, database=name)
    finally:
        _administer(server, sql.SQL("drop database {} with (force)").format(quoted))


def _administer(server: str, statement: sql.Composed) -> None:
    """With a connection of its own: tests kill the server, and what was connected before is dead then."""
    with psycopg.connect(server, autocommit=True) as administrator:
        administrator.execute(statement)


_SIZE = "1m"


@contextmanager
def table_on_a_small_disk(stack: Any, database: psycopg.Connection, table: str) -> Iterator[str]:
    """Move the table there, and back. Answers how: `really`, or `raised` where nothing can be mounted."""
    # Not below pytest's own directory: every run that begins closes it to the user that Postgres runs as for root.
    with tempfile.TemporaryDirectory(prefix="small-disk-") as scratch:
        Path(scratch).chmod(0o755)
        with _table_on(stack, database, table, Path(scratch) / "disk") as how:
            yield how


@contextmanager
def _table_on(stack: Any, database: psycopg.Connection, table: str, place: Path) -> Iterator[str]:
    home = getattr(getattr(stack, "postgres", None), "home", None)
    if home is None or not _mounted(place):
        with _refusing(database, table):
            yield "raised"
        return
    try:
        owner = Path(home).stat()
        os.chown(place, owner.st_uid, owner.st_gid)
        place.chmod(0o700)
        database.execute(sql.SQL("create tablespace small location {}").format(sql.Literal(str(place))))
        moved = sql.SQL("alter table {} set tablespace {}")
        database.execute(moved.format(sql.Identifier(table), sql.Identifier("small")))
        try:
            yield "really"
        finally:
            database.execute(sql.SQL("delete from {}").format(sql.Identifier(table)))
            database.execute(moved.format(sql.Identifier(table), sql.Identifier("pg_default")))
            database.execute("drop tablespace small")
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def _mounted(place: Path) -> bool:
    if os.geteuid() != 0:
        return False
    place.mkdir()
    options = ["-t", "tmpfs", "-o", f"size={_SIZE}", "tmpfs"]
    return subprocess.run(["mount", *options, str(place)], check=False, capture_output=True).returncode == 0


@contextmanager
def _refusing(database: psycopg.Connection, table: str) -> Iterator[None]:
    database.execute("""
        create function full_disk() returns trigger language plpgsql as $$ begin
            raise exception 'could not extend file: No space left on device' using errcode = '53100';
        end $$
    """)
    made = "create trigger full_disk before insert on {} for each row execute function full_disk()"
    database.execute(sql.SQL(made).format(sql.Identifier(table)))
    try:
        yield
    finally:
        database.execute("drop function full_disk cascade")
