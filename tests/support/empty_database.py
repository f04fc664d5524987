"""Separate databases for a test: new ones, or copies of another."""

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
    """Uses a new connection: tests kill the server, after which earlier connections are dead."""
    with psycopg.connect(server, autocommit=True) as administrator:
        administrator.execute(statement)
