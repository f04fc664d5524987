"""Applies schema/: the functions, views, triggers, policies and grants, each written once and applied again and again.

All files are applied in the order of their names, in one transaction, when one of them or the newest migration is not
the one that was applied last. What they made then and make no longer is dropped. An older version of the registry may
be started once more beside a newer one: it leaves alone what that applied. Tables are for `migrations.py`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.rows import scalar_row

from model_registry import __version__

_ACCESS = "90_access"
"""The file that sets the rights of every object of ours, by name, and is run by itself when nothing else is.

Not once, in a migration: where others have set default privileges (on Supabase, for the schema `public`), the roles
that anybody can take get every right on whatever is made, and `public` may call every new function everywhere. Objects
of others in the same schema are left alone: ours are those that the files name.
"""
READER = "registry_reader"
"""The role of programs that read the catalogue through PostgREST with a key of their own."""

_RUNNER_TABLES = ("_yoyo_log", "_yoyo_migration", "_yoyo_version", "yoyo_lock", "schema_files")
_WRITERS_LOCK = 7366113290411
"""The lock of registry_lock()."""
_KINDS = r"(?:table|view|sequence|function|procedure)"
_NAMED = re.compile(
    rf"\bcreate (?:or replace )?(?:unlogged |materialized )?{_KINDS} (?:if not exists )?(\w+)"
    rf"|\balter {_KINDS} [^;]* rename to (\w+)|\bdrop {_KINDS} (?:if exists )?(\w+)",
    re.IGNORECASE,
)

# As DROP names them. Whatever a file makes or replaces bears the number of the transaction that applies it.
_MADE_NOW = """
    select 'function ' || oid::regprocedure from pg_proc
    where pronamespace = current_schema()::regnamespace and xmin = pg_current_xact_id_if_assigned()::xid
    union all
    select 'view ' || oid::regclass from pg_class
    where relkind = 'v'
      and relnamespace = current_schema()::regnamespace and xmin = pg_current_xact_id_if_assigned()::xid
"""
_FUNCTION = re.compile(r"^create or replace function (\w+)\(([^)]*)\)", re.MULTILINE)
_OTHERS_OF_THE_NAME = """
    select 'function ' || oid::regprocedure from pg_proc
    where pronamespace = current_schema()::regnamespace and proname = %s and oid is distinct from to_regprocedure(%s)
"""
_TRIGGERS_THAT_CALL = """
    select format('trigger %%I on %%s', tgname, tgrelid::regclass) from pg_trigger
    where not tgisinternal and 'function ' || tgfoid::regprocedure = any(%s)
"""


@dataclass(frozen=True, slots=True)
class Rights:
    """What schema/90_access.sql goes by."""

    directory: Path
    names: frozenset[str]
    """Everything that migrations/ and schema/ make."""
    public_reads: bool | None
    """Whether anybody may read the catalogue; None keeps what is."""


def made_by(texts: Iterable[str]) -> frozenset[str]:
    """The names of what these texts of SQL make, or take away: it may not have come to that."""
    found = (match for text in texts for match in _NAMED.finditer(text))
    return frozenset(str(match[1] or match[2] or match[3]).lower() for match in found)


def outdated(connection: psycopg.Connection, schema: str, directory: Path, newest_migration: str) -> tuple[str, ...]:
    """The files that are not applied as they are now, by name; one that was applied and is gone counts too.

    None when a newer version of the registry has applied its own.
    """
    with connection.transaction():
        _go_to(connection, schema)
        if connection.execute("select to_regclass('schema_files')").fetchone() == (None,):
            rows = []  # before the migration that makes it
        else:
            rows = connection.execute("select name, digest, version from schema_files").fetchall()
    applied = {name: digest for name, digest, _ in rows}
    if any(_number(version) > _number(__version__) for _, _, version in rows):
        return ()
    wanted = _digests(directory, newest_migration)
    return tuple(sorted(name for name in applied.keys() | wanted if applied.get(name) != wanted.get(name)))


def apply(connection: psycopg.Connection, schema: str, newest_migration: str, rights: Rights) -> tuple[str, ...]:
    """Apply all files if any is outdated; answers the names of those that were. When one fails, nothing has changed.

    Writers of the registry wait until it is done, readers do not. Errors: psycopg's.
    """
    changed = outdated(connection, schema, rights.directory, newest_migration)
    if changed:
        with connection.transaction():
            _go_to(connection, schema)
            _wait_for_writers(connection)
            _pass_on(connection, rights)
            _apply_all(connection, rights.directory, _digests(rights.directory, newest_migration))
    return changed


def set_access(connection: psycopg.Connection, schema: str, rights: Rights) -> None:
    """Give every object of ours exactly the rights it should have, in one transaction. A second time changes nothing.

    The connection is of the objects' owner. Errors: psycopg's.
    """
    text = (rights.directory / f"{_ACCESS}.sql").read_text(encoding="utf-8")
    with connection.transaction():
        _go_to(connection, schema)
        if rights.public_reads is not None:
            _wait_for_writers(connection)  # policies lock one table after another
        _pass_on(connection, rights)
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
        _go_to(connection, schema)
        return tuple(_column(connection, query))


def _apply_all(connection: psycopg.Connection, directory: Path, digests: dict[str, str]) -> None:
    before = _column(connection, "select thing from schema_files, unnest(objects) thing order by name")
    made: dict[str, list[str]] = {}
    for name in digests:
        text = (directory / f"{name}.sql").read_text(encoding="utf-8")
        _drop(connection, _with_other_arguments(connection, text))
        earlier = {thing for things in made.values() for thing in things}
        connection.execute(text.encode())
        # What gets its rights now was made before, maybe by a migration.
        things = () if name == _ACCESS else _column(connection, _MADE_NOW)
        made[name] = [thing for thing in things if thing not in earlier]
    now = {thing for things in made.values() for thing in things}
    gone = [thing for thing in reversed(before) if thing not in now]
    _drop(connection, _column(connection, _TRIGGERS_THAT_CALL, gone))
    _drop(connection, gone)
    connection.execute("delete from schema_files")
    insert = "insert into schema_files (name, digest, objects, version) values (%s, %s, %s, %s)"
    for name, digest in digests.items():
        connection.execute(insert, (name, digest, made[name], __version__))
    connection.execute("notify pgrst, 'reload schema'")


def _with_other_arguments(connection: psycopg.Connection, text: str) -> list[str]:
    """What has a name of this file's functions, and takes other arguments: another function, as Postgres sees it."""
    found = []
    for name, arguments in _FUNCTION.findall(text):
        without_default = [argument.split(" default ")[0] for argument in arguments.split(",") if argument.strip()]
        types = [argument.split(maxsplit=1)[1] for argument in without_default]
        found += _column(connection, _OTHERS_OF_THE_NAME, name, f"{name}({', '.join(types)})")
    return found


def _drop(connection: psycopg.Connection, things: list[str]) -> None:
    for thing in things:
        kind, _, name = thing.partition(" ")
        connection.execute(f"drop {kind} if exists {name}".encode())


def _digests(directory: Path, newest_migration: str) -> dict[str, str]:
    """Of every file and what it stands on: a migration may have taken something away, such as a table's triggers."""
    salt = newest_migration.encode() + b"\n"
    files = sorted(directory.glob("*.sql"))
    return {file.stem: hashlib.sha256(salt + file.read_bytes()).hexdigest() for file in files}


def _number(version: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", version)]


def _column(connection: psycopg.Connection, query: str, *values: object) -> list[str]:
    with connection.cursor(row_factory=scalar_row) as cursor:
        return cursor.execute(query.encode(), values or None).fetchall()


def _go_to(connection: psycopg.Connection, schema: str) -> None:
    """Look for names in this schema, for the rest of the transaction."""
    connection.execute(sql.SQL("set local search_path to {}").format(sql.Identifier(schema)))


def _wait_for_writers(connection: psycopg.Connection) -> None:
    """Keep writers of the registry out for the rest of the transaction, and have those that write finish."""
    connection.execute("select pg_advisory_xact_lock(%s)", [_WRITERS_LOCK])


def _pass_on(connection: psycopg.Connection, rights: Rights) -> None:
    """Have the SQL of this transaction know the rights."""
    settings = {
        "registry.names": " ".join(sorted(rights.names)),
        "registry.runner_tables": " ".join(_RUNNER_TABLES),
        "registry.public_reads": "" if rights.public_reads is None else str(rights.public_reads),
    }
    for name, value in settings.items():
        connection.execute("select set_config(%s, %s, true)", [name, value])
