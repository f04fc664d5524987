"""Brings a database up to date: its tables with yoyo (migrations/), all else with `schema.py` (schema/); loads seeds.

Talks to Postgres directly, as `redaction.py` does and nothing else: neither can go through PostgREST. Nothing of the
running service belongs here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

import psycopg
from psycopg import sql
from yoyo import get_backend, read_migrations
from yoyo.backends import DatabaseBackend
from yoyo.migrations import Migration, MigrationList

from model_registry.entities.secret_text import mask_secrets
from model_registry.errors import StorageMisconfigured, StorageUnavailable
from model_registry.store import schema as schema_files
from model_registry.store.original_objects import refuse_original

_PACKAGE = Path(__file__).resolve().parent.parent
LOCK_TIMEOUT = "10s"
_RUNNERS_LOCK = 7366113290412
_TELLING = 3
"""Characters of a part of a password, from where on it is taken out of messages."""
_SCHEMA_NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_REPLACES = re.compile(r"^-- replaces: (\w+)(?: \.\. (\w+))?$", re.MULTILINE)
"""The earlier migration in whose place a file stands; or the first and the last of several."""


@dataclass(frozen=True, slots=True)
class MigrationStatus:
    """Which migrations a database has, and which files of schema/ it lacks or has otherwise: by name, in order."""

    applied: tuple[str, ...]
    pending: tuple[str, ...]
    outdated: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Migrated:
    """What was done: the migrations applied, and the files of schema/ that had changed."""

    migrations: tuple[str, ...]
    schema_files: tuple[str, ...]


def data_directory(name: str) -> Path:
    """Where `migrations`, `schema` or `seeds` lie: in the wheel, or at the top of a checkout."""
    for candidate in (_PACKAGE / "_data" / name, _PACKAGE.parent.parent / name):
        if candidate.is_dir():
            return candidate
    message = f"The directory {name} is missing from this installation: install the package again."
    raise StorageMisconfigured(message)


def migrate(
    database_url: str, schema: str, *, public_reads: bool | None = None, lock_timeout: str = LOCK_TIMEOUT
) -> Migrated:
    """Apply what is missing: each migration in its own transaction, then all of schema/ in one.

    Afterwards everybody has the rights that `schema/90_access.sql` says, also when a migration failed. `public_reads`:
    whether anybody may read the catalogue through PostgREST; None keeps what is, which is closed in a new registry.

    Waits up to 10 s for another runner's lock. Errors: StorageUnavailable; StorageMisconfigured, of these
    OriginalRegistry where the original's tables stand in the place of ours.
    """
    with _connect(database_url, lock_timeout) as connection:
        # Held until the connection closes. Yoyo's own lock is a table: two first runners would race to make it.
        connection.execute("select pg_advisory_lock(%s)", [_RUNNERS_LOCK])
        refuse_original(connection, _checked(schema))
        connection.execute(sql.SQL("create schema if not exists {}").format(sql.Identifier(schema)))
        migrations = read_migrations(str(data_directory("migrations")))
        rights = _rights(migrations, public_reads=public_reads)
        changed: tuple[str, ...] = ()
        try:
            with _backend(database_url, schema, lock_timeout) as backend, backend.lock(timeout=10):
                backend.mark_migrations(_replaced(backend, migrations))
                pending = backend.to_apply(migrations)
                backend.apply_migrations(pending)
            changed = _apply_schema(connection, schema, _newest(migrations), rights)
        finally:
            if not changed:
                schema_files.set_access(connection, schema, rights)
    return Migrated(tuple(migration.id for migration in pending), changed)


def open_to(database_url: str, schema: str) -> tuple[str, ...]:
    """Which of the roles that anybody has (`anon`, `authenticated`) may read the catalogue through PostgREST."""
    with _connect(database_url) as connection:
        return schema_files.open_to(connection, _checked(schema))


def status(database_url: str, schema: str) -> MigrationStatus:
    """What is applied and what is not. Changes nothing but yoyo's own tables. Errors: as those of `migrate`."""
    migrations = read_migrations(str(data_directory("migrations")))
    with _connect(database_url) as connection:
        refuse_original(connection, _checked(schema))
        query = "select exists (select from pg_namespace where nspname = %s)"
        row = connection.execute(query, [schema]).fetchone()
        outdated = schema_files.outdated(connection, schema, data_directory("schema"), _newest(migrations))
        pending = {m.id for m in migrations}
        if row and row[0]:
            with _backend(database_url, schema) as backend:
                pending = {m.id for m in backend.to_apply(migrations)} - {m.id for m in _replaced(backend, migrations)}
            if len(pending) == len(migrations):  # then the runner's tables may just have been made
                schema_files.set_access(connection, schema, _rights([], public_reads=None))
    names = [m.id for m in migrations]
    return MigrationStatus(
        tuple(n for n in names if n not in pending), tuple(n for n in names if n in pending), outdated
    )


def seed(database_url: str, schema: str) -> tuple[str, ...]:
    """Run every seed file in one transaction; answers their names. Seeds are idempotent and overwrite nothing."""
    files = sorted(data_directory("seeds").glob("*.sql"))
    with _connect(database_url) as connection, connection.transaction():
        refuse_original(connection, _checked(schema))
        connection.execute(sql.SQL("set local search_path to {}").format(sql.Identifier(schema)))
        connection.execute("select set_config('registry.actor', 'seeds', true)")
        for file in files:
            connection.execute(file.read_bytes())
    return tuple(file.name for file in files)


@contextmanager
def connected(database_url: str, schema: str) -> Iterator[psycopg.Connection]:
    """A connection to the registry's tables, each statement its own transaction. Errors: as those of `migrate`."""
    with _connect(database_url) as connection:
        connection.execute(sql.SQL("set search_path to {}").format(sql.Identifier(_checked(schema))))
        yield connection


def set_password(database_url: str, role: str, password: str) -> None:
    """Give a role its password, so that PostgREST can log in from elsewhere."""
    with _connect(database_url) as connection:
        connection.execute(
            sql.SQL("alter role {} with login password {}").format(sql.Identifier(role), sql.Literal(password))
        )


def _replaced(backend: DatabaseBackend, migrations: MigrationList) -> list[Migration]:
    """Those whose work earlier migrations have done, which were put together since; they count as applied."""
    backend.ensure_internal_schema_updated()
    applied = {row[0] for row in backend.execute("select migration_id from _yoyo_migration").fetchall()}
    replaced = []
    for migration in migrations:
        found = _REPLACES.search(Path(migration.path).read_text())
        if found is None or migration.id in applied:
            continue
        first, last = found[1], found[2] or found[1]
        if last in applied:
            replaced.append(migration)
        elif first in applied:
            message = (
                f"This database is of an earlier version and lacks its last migrations, up to {last}. "
                "Run `model-registry db migrate` of that version first."
            )
            raise StorageMisconfigured(message)
    return replaced


def _apply_schema(
    connection: psycopg.Connection, schema: str, newest_migration: str, rights: schema_files.Rights
) -> tuple[str, ...]:
    try:
        return schema_files.apply(connection, schema, newest_migration, rights)
    except psycopg.Error as error:
        message = f"schema/ could not be applied and was rolled back: {error}"
        raise StorageMisconfigured(message) from error


def _rights(migrations: Iterable[Migration], *, public_reads: bool | None) -> schema_files.Rights:
    """Of all that these migrations and schema/ make."""
    directory = data_directory("schema")
    files = [*(Path(migration.path) for migration in migrations), *directory.glob("*.sql")]
    return schema_files.Rights(directory, schema_files.made_by(file.read_text() for file in files), public_reads)


def _newest(migrations: MigrationList) -> str:
    return str(migrations[-1].id) if migrations else ""


def _checked(schema: str) -> str:
    if not _SCHEMA_NAME.fullmatch(schema):
        message = f"{schema!r} cannot be a schema's name: use lower-case letters, digits and underscores."
        raise StorageMisconfigured(message)
    return schema


@contextmanager
def _connect(database_url: str, lock_timeout: str = LOCK_TIMEOUT) -> Iterator[psycopg.Connection]:
    try:
        with psycopg.connect(database_url, autocommit=True, connect_timeout=10) as connection:
            # A migration that cannot have its lock soon gives up, rather than queueing every reader behind it.
            connection.execute("select set_config('lock_timeout', %s, false)", [lock_timeout])
            yield connection
    except psycopg.OperationalError as error:
        text = _without_password(str(error), database_url)
        if error.sqlstate is not None:  # it answered: a lock that it waited for in vain, say
            raise StorageMisconfigured(f"Postgres refused: {text}") from None
        message = f"Postgres cannot be reached: {text}. Check DATABASE_URL."
        raise StorageUnavailable(message) from None  # the cause quotes the address, and a password may be part of it
    except psycopg.Error as error:
        message = f"Postgres refused: {error}"
        raise StorageMisconfigured(message) from error


def _without_password(message: str, database_url: str) -> str:
    """A password with unescaped characters is taken for a host or a port, and quoted as that."""
    login = re.search(r"://[^:/@]*:(.*)@", database_url)
    for part in re.split(r"[@:/?#]", login[1]) if login else ():
        message = message.replace(part, "…") if len(part) >= _TELLING else message
    return mask_secrets(message)


@contextmanager
def _backend(database_url: str, schema: str, lock_timeout: str = LOCK_TIMEOUT) -> Iterator[DatabaseBackend]:
    with _connect(database_url):
        pass  # a clear error before yoyo's own
    backend = get_backend(_yoyo_url(database_url, schema))
    try:
        backend.execute("select set_config('lock_timeout', %s, false)", [lock_timeout])
        yield backend
    except psycopg.Error as error:
        message = f"A migration failed and was rolled back: {error}"
        raise StorageMisconfigured(message) from error
    finally:
        backend.connection.close()


def _yoyo_url(database_url: str, schema: str) -> str:
    """Yoyo's spelling of a libpq URL: it names the driver, and sets search_path from `schema`."""
    parts = urlsplit(database_url)
    arguments = {key: values[-1] for key, values in parse_qs(parts.query).items()}
    arguments["schema"] = f'"{_checked(schema)}"'  # yoyo sets it as it stands, and a name may be a word of SQL
    query = "&".join(f"{key}={quote(value, safe='')}" for key, value in arguments.items())
    return f"postgresql+psycopg://{parts.netloc}{parts.path or '/postgres'}?{query}"
