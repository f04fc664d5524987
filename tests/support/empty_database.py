"""Databases of a test's own, in which nothing has ever been."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql


def url_of(url: str, *, database: str, role: str = "postgres") -> str:
    """The address of another database, or another role, on the same server."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{role}@{parts.netloc.rpartition('@')[2]}", path=f"/{database}"))


@contextmanager
def new_database(server: str) -> Iterator[str]:
    """A new database on this server: its address."""
    name = f"test_{uuid.uuid4().hex[:8]}"
    quoted = sql.Identifier(name)
    with psycopg.connect(server, autocommit=True) as administrator:
        administrator.execute(sql.SQL("create database {}").format(quoted))
        try:
            yield url_of(server, database=name)
        finally:
            administrator.execute(sql.SQL("drop database {} with (force)").format(quoted))
