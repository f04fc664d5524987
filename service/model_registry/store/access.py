"""Has the rights of every object of ours set anew after each run of migrations, by name: schema/90_access.sql.

Not once, in a migration: where others have set default privileges (on Supabase, for the schema `public`), the roles
that anybody can take get every right on whatever is made, and `public` may call every new function everywhere. Objects
of others in the same schema are left alone: ours are those that the files name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

FILE = "90_access"
READER = "registry_reader"
"""The role of programs that read the catalogue through PostgREST with a key of their own."""

_RUNNER_TABLES = ("_yoyo_log", "_yoyo_migration", "_yoyo_version", "yoyo_lock", "schema_files")
_WRITERS_LOCK = 7366113290411
"""The lock of registry_lock()."""
_KINDS = r"(?:table|view|sequence|function|procedure)"
_MADE = re.compile(
    rf"\bcreate (?:or replace )?(?:unlogged |materialized )?{_KINDS} (?:if not exists )?(\w+)"
    rf"|\balter {_KINDS} [^;]* rename to (\w+)|\bdrop {_KINDS} (?:if exists )?(\w+)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Rights:
    """What schema/90_access.sql is told."""

    directory: Path
    names: frozenset[str]
    """Everything that migrations/ and schema/ make."""
    public_reads: bool | None
    """Whether anybody may read the catalogue; None keeps what is."""


def made_by(texts: Iterable[str]) -> frozenset[str]:
    """The names of what these texts of SQL make, or take away: it may not have come to that."""
    found = (match for text in texts for match in _MADE.finditer(text))
    return frozenset(str(match[1] or match[2] or match[3]).lower() for match in found)


def set_access(connection: psycopg.Connection, schema: str, rights: Rights) -> None:
    """Give every object of ours exactly the rights it should have, in one transaction. A second time changes nothing.

    The connection is of the objects' owner. Errors: psycopg's.
    """
    text = (rights.directory / f"{FILE}.sql").read_text(encoding="utf-8")
    with connection.transaction():
        go_to(connection, schema)
        if rights.public_reads is not None:
            wait_for_writers(connection)  # policies lock one table after another
        pass_on(connection, rights)
        connection.execute(text.encode())


def open_to(connection: psycopg.Connection, schema: str) -> tuple[str, ...]:
    """Which of the roles that anybody can take (`anon`, `authenticated`) may read something of the catalogue."""
    query = """select r.rolname from pg_roles r where r.rolname in ('anon', 'authenticated') and exists (
        select from pg_class c
        join pg_policy p on p.polrelid = c.oid and p.polcmd in ('r', '*')
        where c.relnamespace = current_schema()::regnamespace and c.relname = any (registry_tracked_tables())
          and (p.polroles @> array[r.oid] or p.polroles @> array[0::oid])
          and has_any_column_privilege(r.oid, c.oid, 'select')) order by 1"""
    with connection.transaction():
        go_to(connection, schema)
        rows = connection.execute(query).fetchall()
    return tuple(row[0] for row in rows)


def go_to(connection: psycopg.Connection, schema: str) -> None:
    """Look for names in this schema, for the rest of the transaction."""
    connection.execute(sql.SQL("set local search_path to {}").format(sql.Identifier(schema)))


def wait_for_writers(connection: psycopg.Connection) -> None:
    """Keep writers of the registry out for the rest of the transaction, and have those that write finish."""
    connection.execute("select pg_advisory_xact_lock(%s)", [_WRITERS_LOCK])


def pass_on(connection: psycopg.Connection, rights: Rights) -> None:
    """Have the SQL of this transaction know what it is told."""
    settings = {
        "registry.names": " ".join(sorted(rights.names)),
        "registry.runner_tables": " ".join(_RUNNER_TABLES),
        "registry.public_reads": "" if rights.public_reads is None else str(rights.public_reads),
    }
    for name, value in settings.items():
        connection.execute("select set_config(%s, %s, true)", [name, value])
