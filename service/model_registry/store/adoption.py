"""Brings over the rows of the original registry, whose tables are in this database (`model-registry db adopt`).

Talks to Postgres directly, as `migrations.py` does. What becomes of a row is decided in `original_plan.py`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import scalar_row

from model_registry.errors import StorageMisconfigured
from model_registry.store import migrations
from model_registry.store.original_file import filled_schema
from model_registry.store.original_objects import aside, make_followers, move_aside, original_schemas
from model_registry.store.original_plan import KEYS, AdoptionPlan, Rows, plan_adoption
from model_registry.store.original_rows import COLUMNS

ACTOR = "db adopt"


@dataclass(frozen=True, slots=True)
class Adopted:
    """What was brought over, from which schema, and which objects of others were made to follow."""

    source: str
    plan: AdoptionPlan
    moved_to: str | None = None
    """Where the original's tables are now; None when they stayed where they were."""
    followed: tuple[str, ...] = ()
    left_behind: tuple[str, ...] = ()
    """Objects of others that still use the original's tables, and why."""
    failed: tuple[str, ...] = ()
    """Statements of a file that failed, and why."""

    @property
    def is_complete(self) -> bool:
        """Whether everything came over."""
        return not (self.plan.left_out or self.left_behind or self.failed)


def not_adopted(database_url: str, schema: str) -> dict[str, int]:
    """By schema of the original: how many of its models this registry does not have."""
    missing = {}
    with migrations.connected(database_url, schema) as connection:
        for source in original_schemas(connection):
            if _may_read(connection, source) and (number := len(_planned(connection, source).inserts["models"])):
                missing[source] = number
    return missing


def adopt(database_url: str, schema: str, source: str | None = None, *, dry_run: bool = False) -> Adopted:
    """Bring over what the registry in `schema` does not have, in one transaction; a second time adds what is new since.

    Where the original is in the same schema, its tables are moved aside first and the schema is migrated: each is a
    transaction of its own, and what was moved is found again if a later one fails.
    Errors: StorageUnavailable, StorageMisconfigured.
    """
    with migrations.connected(database_url, schema) as connection:
        source = _source(original_schemas(connection), schema, source)
        if dry_run:
            return Adopted(source, _planned(connection, source))
        moved_to = move_aside(connection, schema) if source == schema else None
    migrations.migrate(database_url, schema)
    with migrations.connected(database_url, schema) as connection, connection.transaction():
        connection.execute("select registry_lock()")
        _lock(connection, moved_to or source)
        plan = _planned(connection, moved_to or source)
        _insert(connection, plan)
        if moved_to is None and source != aside(schema):
            return Adopted(source, plan)
        followed, left_behind = make_followers(connection, schema)
    return Adopted(source, plan, aside(schema), followed, left_behind)


def adopt_file(database_url: str, schema: str, text: str, *, dry_run: bool = False) -> Adopted:
    """Bring over what a file of SQL writes into the original's tables, in one transaction.

    Errors: StorageUnavailable, StorageMisconfigured.
    """
    if not dry_run:
        migrations.migrate(database_url, schema)
    with migrations.connected(database_url, schema) as connection, connection.transaction(force_rollback=dry_run):
        if not _is_migrated(connection):
            raise StorageMisconfigured("The registry's tables are missing: run `model-registry db migrate` first.")
        connection.execute("select registry_lock()")
        with filled_schema(connection, schema, text) as (source, failed):
            plan = _planned(connection, source)
            _insert(connection, plan)
    return Adopted("the file", plan, failed=tuple(failed))


def _source(found: list[str], schema: str, wanted: str | None) -> str:
    if wanted is None and schema in found:
        wanted = schema
    if wanted is None and len(found) == 1:
        wanted = found[0]
    if wanted in found:
        return str(wanted)
    if not found:
        message = "No schema of this database holds the original registry's tables (model_providers, models, ...)."
    else:
        what = f"{wanted} holds none of the original registry's tables" if wanted else "There are several"
        message = f"{what}: choose with --from among {', '.join(found)}."
    raise StorageMisconfigured(message)


def _planned(connection: psycopg.Connection, source: str) -> AdoptionPlan:
    original = _rows(connection, source, COLUMNS)
    return plan_adoption(original, _rows(connection, None, KEYS) if _is_migrated(connection) else {})


def _is_migrated(connection: psycopg.Connection) -> bool:
    return connection.execute("select to_regprocedure('registry_tracked_tables()') is not null").fetchone() == (True,)


def _may_read(connection: psycopg.Connection, source: str) -> bool:
    """Whether we may read these tables, and their owners have all our rights: reading may run what is theirs."""
    query = """
        select bool_and(coalesce(
            has_table_privilege(c.oid, 'select') and pg_has_role(c.relowner, current_user, 'member'), true))
        from unnest(%s::text[]) name left join pg_class c on c.oid = to_regclass(format('%%I.%%I', %s::text, name))"""
    return connection.execute(query, [list(COLUMNS), source]).fetchone() == (True,)


def _rows(connection: psycopg.Connection, schema: str | None, tables: Iterable[str]) -> Rows:
    """All rows as JSON, times in UTC; a table that is not there has none."""
    rows: dict[str, list[dict[str, Any]]] = {}
    with connection.transaction(), connection.cursor(row_factory=scalar_row) as cursor:
        cursor.execute("set local timezone to 'UTC'")
        for table in tables:
            name = sql.Identifier(schema, table) if schema else sql.Identifier(table)
            is_there = cursor.execute("select to_regclass(%s) is not null", [name.as_string(connection)]).fetchone()
            query = sql.SQL("select row_to_json(t) from {} t").format(name)
            rows[table] = cursor.execute(query).fetchall() if is_there else []
    return rows


def _lock(connection: psycopg.Connection, source: str) -> None:
    """Let nobody write to the original's tables until this transaction ends: what they wrote would be missing here."""
    for table in COLUMNS:
        name = sql.Identifier(source, table)
        if connection.execute("select to_regclass(%s)", [name.as_string(connection)]).fetchone() != (None,):
            connection.execute(sql.SQL("lock table {} in share mode").format(name))


def _insert(connection: psycopg.Connection, plan: AdoptionPlan) -> None:
    connection.execute("select set_config('registry.actor', %s, true)", [ACTOR])
    for table, rows in plan.inserts.items():
        by_columns: dict[tuple[str, ...], list[dict[str, Any]]] = {}
        for row in rows:  # a column that is not given has its default
            by_columns.setdefault(tuple(sorted(row)), []).append(row)
        for columns, alike in by_columns.items():
            statement = sql.SQL(
                "insert into {table} ({columns}) "
                "select {columns} from jsonb_populate_recordset(null::{table}, %s::jsonb)"
            ).format(table=sql.Identifier(table), columns=sql.SQL(", ").join(map(sql.Identifier, columns)))
            connection.execute(statement, [json.dumps(alike)])
