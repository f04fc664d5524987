"""A table on a disk that is nearly full: a real one, of a megabyte, where this process may mount one."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

_SIZE = "1m"


@contextlib.contextmanager
def table_on_a_small_disk(stack: Any, database: psycopg.Connection, table: str) -> Iterator[str]:
    """Move the table there and back. Returns how: `really`, or `raised` where nothing can be mounted."""
    # Not below pytest's own directory: every run that begins closes it to the user that Postgres runs as for root.
    with tempfile.TemporaryDirectory(prefix="small-disk-") as scratch:
        Path(scratch).chmod(0o755)
        with _table_on(stack, database, table, Path(scratch) / "disk") as how:
            yield how


@contextlib.contextmanager
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
        subprocess.run(["umount", "--lazy", str(place)], check=True)  # noqa: S607 (backends may keep a file open)


def _mounted(place: Path) -> bool:
    if os.geteuid() != 0:
        return False
    place.mkdir()
    options = ["-t", "tmpfs", "-o", f"size={_SIZE}", "tmpfs"]
    return subprocess.run(["mount", *options, str(place)], check=False, capture_output=True).returncode == 0  # noqa: S607


@contextlib.contextmanager
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
