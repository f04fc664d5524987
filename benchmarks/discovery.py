"""Asks 1,000 sources of 100 models each: the first time, again without a change, and with a changed model in each."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

import catalogue
from bench import Bench
from model_registry.devstack.ports import choose_port
from report import Goal, Row
from servers import Server

_GOAL = Goal("value", "at most", 30)
_CONNECTIONS = Goal("value", "at most", 32)
_PATIENCE_SECONDS = 600

_ADD = """
insert into model_sources (name, kind, address, interval_seconds)
select 'source_' || i, 'openai', %(url)s || '/s/' || i || '/v1', 86400 from generate_series(1, %(number)s) i
"""
_EMPTY = "truncate model_sources, source_answers, source_turns"
_ASKED = "select count(*) from source_turns where asked_at > %s and claimed_until is null"
_DUE = "update source_turns set next_at = now() returning clock_timestamp()"
_STATES = "select count(*) from source_answers where state = 'ok'"


def measure(bench: Bench) -> Iterator[Row]:
    """Seconds until every source is asked and its answer written; the most connections at once."""
    number, models = bench.choose(1000, 20), 100
    bench.fill(0)
    with bench.registry() as registry, _sources(models) as url, psycopg.connect(bench.database_url) as database:
        database.autocommit = True
        database.execute(f"set search_path to {catalogue.SCHEMA}")
        database.execute("set session_replication_role = replica")
        database.execute(_EMPTY)
        database.execute("set session_replication_role = origin")
        refresh = _Refresh(bench, registry, database, url, number)
        what = f"{number:,} sources of {models} models"
        yield refresh.row(f"{what}, first: all models are new", lambda: _add(database, url, number))
        yield refresh.row(f"{what}, unchanged (304)", lambda: _due(database))
        yield refresh.row(f"{what}, one model of each changed", lambda: _changed(database, url))
        yield Row("connections to sources at once", "", (float(refresh.most_open),), goal=_CONNECTIONS)
        rows = database.execute("select count(*) from models").fetchone()
        if rows != (number * models,):
            message = f"{rows} models in the registry, not {number * models}"
            raise RuntimeError(message)
        yield Row(f"memory with {number * models:,} models", "MB", (registry.rss_mb(),))


class _Refresh:
    """Refreshes of all sources, timed one after another."""

    def __init__(self, bench: Bench, registry: Server, database: psycopg.Connection, url: str, number: int) -> None:
        self._bench = bench
        self._registry = registry
        self._database = database
        self._url = url
        self._number = number
        self.most_open = 0

    def row(self, what: str, start: Callable[[], Any]) -> Row:
        """Start a refresh, and wait until every source was asked and given back."""
        self._bench.say(what)
        began, busy = time.perf_counter(), self._registry.cpu_seconds()
        moment = start()
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while self._database.execute(_ASKED, [moment]).fetchone() != (self._number,):
            if time.monotonic() > deadline:
                message = f"{what}: not all sources were asked within {_PATIENCE_SECONDS} s"
                raise RuntimeError(message)
            time.sleep(0.02)
        seconds = time.perf_counter() - began
        if self._database.execute(_STATES).fetchone() != (self._number,):
            message = f"{what}: not all sources answered"
            raise RuntimeError(message)
        self.most_open = max(self.most_open, _get(f"{self._url}/state")["most_open"])
        cpu = self._registry.cpu_seconds() - busy
        return Row(what, "s", (seconds,), goal=_GOAL, more={"cpu_seconds": round(cpu, 2)})


def _add(database: psycopg.Connection, url: str, number: int) -> Any:  # noqa: ANN401 (a time of the database)
    (moment,) = database.execute("select clock_timestamp()").fetchone() or (None,)
    database.execute(_ADD, {"url": url, "number": number})
    return moment


def _due(database: psycopg.Connection) -> Any:  # noqa: ANN401 (a time of the database)
    return (database.execute(_DUE).fetchone() or (None,))[0]


def _changed(database: psycopg.Connection, url: str) -> Any:  # noqa: ANN401 (a time of the database)
    _get(f"{url}/edition/1")
    return _due(database)


def _get(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 (loopback)
        found: dict[str, Any] = json.load(answer)
    return found


@contextmanager
def _sources(models: int) -> Iterator[str]:
    """A server that is a thousand sources: its address."""
    port = choose_port(None, taken=set())
    program = Path(__file__).with_name("source_server.py")
    with subprocess.Popen([sys.executable, str(program), str(port), str(models)]) as process:
        url = f"http://127.0.0.1:{port}"
        try:
            deadline = time.monotonic() + 20
            while True:
                try:
                    _get(f"{url}/state")
                except OSError:
                    if time.monotonic() > deadline:
                        raise
                    time.sleep(0.05)
                else:
                    break
            yield url
        finally:
            process.kill()
