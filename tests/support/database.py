"""Databases for tests: one that is emptied in between, which is faster, and new ones where that is what is tested."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from model_registry.store.migrations import data_directory

_DEFAULT_CATEGORIES = data_directory("migrations") / "0006_default_categories.sql"
TABLES = (
    *("service_model_mappings", "functions", "model_aliases", "model_deployments", "models", "model_providers"),
    *("model_categories", "gpu_nodes", "config_sections", "config_files", "api_keys", "registry_changes"),
    "rejected_events",
)


def empty(database_url: str, schema: str) -> None:
    """Make it a new registry, empty but for its categories: whoever still holds a snapshot must load anew.

    DELETE and not TRUNCATE: of tables with a few rows it takes a tenth of the time.
    """
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(f"set search_path to {schema}")
        # Triggers do not fire for a replica, those of foreign keys and of the change log among them.
        connection.execute("set session_replication_role = replica")
        connection.execute("; ".join(f"delete from {table}" for table in TABLES).encode())  # noqa: S608 (names of ours)
        connection.execute(_DEFAULT_CATEGORIES.read_bytes())
        connection.execute("update registry_identity set id = gen_random_uuid(), history_from = 0")
        connection.execute("delete from fleet_watch; insert into fleet_watch default values")


def url_of(url: str, *, database: str, role: str = "postgres") -> str:
    """The address of another database, or another role, on the same server."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{role}@{parts.netloc.rpartition('@')[2]}", path=f"/{database}"))


@contextmanager
def new_database(server: str, *, like: str | None = None) -> Iterator[str]:
    """The address of a new database in which nothing has ever been, or a copy of another. It is gone at the end."""
    name, template = f"test_{uuid.uuid4().hex[:8]}", urlsplit(like).path[1:] if like else "template1"
    with psycopg.connect(server, autocommit=True) as administrator:
        create = sql.SQL("create database {} template {}")
        administrator.execute(create.format(sql.Identifier(name), sql.Identifier(template)))
        try:
            yield url_of(server, database=name)
        finally:
            administrator.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))
