"""Backups of the registry's database, taken and restored while it is in use: as a dump, and as an image of the disk."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Protocol

import psycopg
from psycopg import sql

from model_registry.devstack.embedded import EmbeddedStack

TABLES = (
    *("model_providers", "model_categories", "models", "model_aliases", "functions", "service_model_mappings"),
    *("model_deployments", "gpu_nodes", "config_sections", "config_files", "api_keys", "registry_changes"),
    *("registry_identity", "rejected_events", "fleet_watch"),
)


class Backups(Protocol):
    """A store of numbered backups."""

    def take(self, number: int) -> None:
        """Take a backup of the registry as it is now."""

    def restore(self, number: int) -> None:
        """Restore the registry exactly as it was then, without anything later."""

    def forget(self, number: int) -> None:
        """Delete a backup."""


class Dumps:
    """Contents of a dump: all rows, with those of the change log and their ids, and the sequence of revisions.

    Each backup is a schema of tables beside the registry's. It is restored in one transaction; no trigger fires.
    """

    def __init__(self, database_url: str, schema: str) -> None:
        self._database = psycopg.connect(database_url, autocommit=True)
        self._schema = schema

    def take(self, number: int) -> None:
        """See `Backups`. A consistent state, taken without blocking writers, as by pg_dump."""
        copies = [
            sql.SQL("create unlogged table {} as table {}").format(self._at(number, table), self._of(table))
            for table in TABLES
        ]
        sequence = sql.SQL("create unlogged table {} as select last_value, is_called from {}").format(
            self._at(number, "sequence"), self._of("registry_revision")
        )
        with self._database.transaction():
            self._database.execute("set transaction isolation level repeatable read")
            self._database.execute(sql.SQL("create schema {}").format(sql.Identifier(f"backup_{number}")))
            self._database.execute(sql.SQL("; ").join([*copies, sequence]))

    def restore(self, number: int) -> None:
        """See `Backups`. Waits for the current write; other writers never see half of the restore."""
        parts: list[sql.Composable] = [sql.SQL("set local session_replication_role = replica")]
        parts.append(sql.SQL("select {}()").format(self._of("registry_lock")))
        for table in TABLES:
            parts.append(sql.SQL("delete from {}").format(self._of(table)))
            copy = sql.SQL("insert into {} overriding system value table {}")
            parts.append(copy.format(self._of(table), self._at(number, table)))
        setting = sql.SQL("select setval({}, last_value, is_called) from {}")
        parts.append(setting.format(sql.Literal(f"{self._schema}.registry_revision"), self._at(number, "sequence")))
        with self._database.transaction():
            self._database.execute(sql.SQL("; ").join(parts))

    def forget(self, number: int) -> None:
        """See `Backups`."""
        self._database.execute("set client_min_messages = warning")
        self._database.execute(sql.SQL("drop schema {} cascade").format(sql.Identifier(f"backup_{number}")))

    def forget_all(self) -> None:
        """Delete all backups, including those of an earlier run that failed."""
        found = self._database.execute(r"select nspname from pg_namespace where nspname like 'backup\_%'").fetchall()
        for (name,) in found:
            self.forget(int(name.removeprefix("backup_")))

    def close(self) -> None:
        """Close the connection."""
        self._database.close()

    def _of(self, name: str) -> sql.Composable:
        return sql.Identifier(self._schema, name)

    def _at(self, number: int, name: str) -> sql.Composable:
        return sql.Identifier(f"backup_{number}", name)


class Images:
    """The whole data directory, copied while Postgres is stopped: even transaction ids are reused after a restore."""

    def __init__(self, stack: EmbeddedStack, scratch: Path) -> None:
        self._stack = stack
        self._scratch = scratch

    def take(self, number: int) -> None:
        """See `Backups`."""
        self._stack.postgres.stop()
        _copy(self._stack.postgres.home, self._image(number))
        self._stack.postgres.start()

    def restore(self, number: int) -> None:
        """See `Backups`."""
        home = self._stack.postgres.home
        self._stack.postgres.stop()
        shutil.rmtree(home)
        _copy(self._image(number), home)
        self._stack.postgres.start()

    def forget(self, number: int) -> None:
        """See `Backups`."""
        shutil.rmtree(self._image(number))

    def _image(self, number: int) -> Path:
        return self._scratch / f"image-{number}"


def _copy(source: Path, target: Path) -> None:
    """Preserves the owner of each file, which Postgres checks."""
    subprocess.run(["cp", "-a", str(source), str(target)], check=True)  # noqa: S607 (the system's own)
