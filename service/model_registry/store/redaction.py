"""Secrets that are in the database already: found, and removed from rows and change log. Talks to Postgres itself.

Rows change by an ordinary change, so that replicas follow. Entries of the change log are rewritten where they stand:
what they led to at any revision is masked text from then on. Numbers, times and order of the entries stay.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, quote_plus

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from model_registry.entities.json_types import Json
from model_registry.entities.secret_text import mask
from model_registry.entities.secret_values import LocatedSecret, masked_value, secrets_in, shown_path
from model_registry.errors import StorageMisconfigured
from model_registry.store.migrations import connected

LOG = "registry_changes"
ACTOR = "db redact"
SHORTEST = 6
"""Characters: anything shorter is in other texts too."""
_UNMISTAKABLE = 16
"""A found secret as long as this is removed wherever it stands; a shorter one only where it was found."""
_REDACTED_NAME = "REDACTED"

Redact = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Finding:
    """A secret in the database. Shown without it."""

    table: str
    row: str
    """Its id; of an entry of the change log, its revision."""
    where: str
    kind: str
    secret: str = field(repr=False)

    def __str__(self) -> str:
        """For people."""
        row = f"revision {self.row}" if self.table == LOG else self.row
        return f"{self.table}  {row}  {self.where}  {self.kind}: {mask(self.secret)}"


def find_secrets(database_url: str, schema: str) -> list[Finding]:
    """Whatever looks like a secret, in any table. Reads everything; changes nothing, and holds nobody up."""
    return _find(database_url, schema, (), secrets_in)


def find_secret(database_url: str, schema: str, secret: str) -> list[Finding]:
    """Where one secret stands, in any table."""
    forms = _forms(secret)

    def places(row: dict[str, Any]) -> Iterator[LocatedSecret]:
        return (LocatedSecret(path, secret, secret, "the secret") for path in _paths_with(row, forms))

    return _find(database_url, schema, forms, places)


def _find(
    database_url: str, schema: str, forms: Sequence[str], places: Callable[[dict[str, Any]], Iterator[LocatedSecret]]
) -> list[Finding]:
    with connected(database_url, schema) as connection:
        return [
            Finding(table, "/".join(str(row[key]) for key in keys), shown_path(place.path), place.kind, place.secret)
            for table, keys in _tables(connection).items()
            for row in _rows(connection, table, forms)
            for place in places(row)
        ]


def redact(database_url: str, schema: str, secrets: Sequence[str], *, detected: bool = False) -> int:
    """Remove secrets from all tables, in one transaction; answers how many rows and entries were rewritten.

    `detected`: `secrets` are what `find_secrets` found, so short ones are masked only where they look like one.
    Writers wait as long as it takes; the log is searched before. Errors: StorageMisconfigured, and nothing is changed.
    """
    exact = [secret for secret in secrets if not detected or len(secret) >= _UNMISTAKABLE]
    forms = [form for secret in secrets for form in _forms(secret)]
    change = _redactor(exact, detected=detected)
    with connected(database_url, schema) as connection:
        tables = _tables(connection)
        (newest,) = connection.execute("select coalesce(max(revision), 0) from registry_changes").fetchone() or (0,)
        old = [row["revision"] for row in _rows(connection, LOG, forms)]
        with connection.transaction():
            connection.execute("select registry_lock()")
            connection.execute("select set_config('registry.actor', %s, true)", [ACTOR])
            connection.execute("select set_config('registry.origin', '', true)")
            number = 0
            for table, keys in tables.items():
                if table != LOG:
                    number += sum(
                        _rewrite(connection, table, keys, row, change) for row in _rows(connection, table, forms)
                    )
            later = sql.SQL("t.revision = any({}) or t.revision > {}").format(sql.Literal(old), sql.Literal(newest))
            entries = _rows(connection, LOG, forms, later)
            return number + sum(_rewrite(connection, LOG, tables[LOG], row, change) for row in entries)


def _tables(connection: psycopg.Connection) -> dict[str, list[str]]:
    """Every table of the registry with its primary key. Functions before what refers to them."""
    found = connection.execute(
        "select c.relname, array_agg(a.attname::text)"
        " from pg_class c join pg_index i on i.indrelid = c.oid and i.indisprimary"
        " join pg_attribute a on a.attrelid = c.oid and a.attnum = any (i.indkey)"
        " where c.relnamespace = current_schema()::regnamespace and c.relkind = 'r'"
        " and c.relname !~ 'yoyo|^schema_files$'"  # the runner's: of names and digests
        " group by c.relname order by c.relname"
    ).fetchall()
    if LOG not in dict(found):
        message = "There is no registry in this schema. Check DATABASE_URL and MODEL_REGISTRY_SCHEMA."
        raise StorageMisconfigured(message)
    return dict(found)


def _rows(
    connection: psycopg.Connection, table: str, forms: Sequence[str] = (), only: sql.Composable | None = None
) -> list[dict[str, Any]]:
    """The rows that hold one of these texts; without texts, those that hold anything."""
    query = sql.SQL("select to_jsonb(t) from {} t where {} and ({})").format(
        sql.Identifier(table),
        sql.SQL("exists (select from unnest(%s::text[]) f where strpos(to_jsonb(t)::text, f) > 0)")
        if forms
        else sql.SQL("true"),
        only or sql.SQL("true"),
    )
    escaped = [json.dumps(form, ensure_ascii=False)[1:-1] for form in forms]
    return [row for (row,) in connection.execute(query, [escaped] if forms else None)]


def _rewrite(
    connection: psycopg.Connection, table: str, keys: Sequence[str], row: dict[str, Any], change: Redact
) -> bool:
    """Write a row without its secrets. Answers whether there were any."""
    after = {
        column: value for column, value in _changed(row, change).items() if column not in keys and value != row[column]
    }
    if not after:
        return False
    columns = sql.SQL(", ").join(map(sql.Identifier, after))
    values = sql.SQL(", ").join(sql.SQL("r.{}").format(sql.Identifier(column)) for column in after)
    connection.execute(
        sql.SQL(
            "update {table} t set ({columns}) = row({values}) "
            "from jsonb_populate_record(null::{table}, %s) r where {key}"
        ).format(
            table=sql.Identifier(table),
            columns=columns,
            values=values,
            key=sql.SQL(" and ").join(
                sql.SQL("t.{} = {}").format(sql.Identifier(key), sql.Literal(row[key])) for key in keys
            ),
        ),
        [Jsonb(after)],
    )
    return True


def _changed(row: dict[str, Any], change: Redact) -> dict[str, Any]:
    """The row without its secrets, in a form that its columns can hold; likewise the rows in an entry of the log."""
    after: dict[str, Any] = change(row)
    for content in (after, after.get("before"), after.get("after")):
        if isinstance(content, dict):
            if isinstance(base := content.get("api_base"), str) and "…" in base:
                content["api_base"] = re.sub(r"\s", "-", base)
            if isinstance(variable := content.get("api_key_env_var"), str) and "…" in variable:
                content["api_key_env_var"] = _REDACTED_NAME
    return after


def _redactor(secrets: Sequence[str], *, detected: bool) -> Redact:
    # The longest first: one may be the beginning of another.
    forms = sorted(((form, mask(secret)) for secret in secrets for form in _forms(secret)), key=lambda f: -len(f[0]))

    def text(value: str) -> str:
        for form, shown in forms:
            value = value.replace(form, shown)
        return value

    def anything(value: Json) -> Json:
        match value:
            case str():
                return text(value)
            case dict():
                return {text(key): anything(item) for key, item in value.items()}
            case list():
                return [anything(item) for item in value]
        return value

    return (lambda value: anything(masked_value(value, eager=False)[0])) if detected else anything


def _forms(secret: str) -> list[str]:
    """How a secret may be written: as it is, in JSON within a text, in a URL."""
    quoted = (json.dumps(secret, ensure_ascii=ascii_)[1:-1] for ascii_ in (False, True))
    return list(dict.fromkeys((secret, *quoted, quote(secret, safe=""), quote_plus(secret))))


def _paths_with(value: object, forms: Sequence[str], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    match value:
        case str() if any(form in value for form in forms):
            yield path
        case dict():
            for key, item in value.items():
                if any(form in key for form in forms):
                    yield (*path, "a name")
                shown = "…" if any(form in key for form in forms) else key
                yield from _paths_with(item, forms, (*path, shown))
        case list():
            for number, item in enumerate(value):
                yield from _paths_with(item, forms, (*path, str(number)))
