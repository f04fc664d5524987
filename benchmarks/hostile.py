"""The effect of hostile callers: the delay of a normal caller, the service's memory, and the time to stop it.

A separate process sends the requests (`attacks.py`). Each kind has a separate service, so that peaks are its own.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import psycopg

import catalogue
import servers
from attacks import ATTACKS
from bench import Bench
from report import Goal, Row

_WAIT = Goal("value", "at most", 250)
_MEMORY = Goal("value", "at most", 400)
_STOP = Goal("value", "at most", 10)

_SCRIPT = Path(__file__).with_name("attacks.py")
_FEW_FILES = "256 files"
_HANGS = "database hangs"
_OF_THE_LOG = "of a log"


def measure(bench: Bench) -> Iterator[Row]:
    """Three rows for each kind of hostile caller."""
    bench.fill(bench.choose(1000, 200))
    _fill_log(bench)
    for name in bench.choose(list(ATTACKS), list(ATTACKS)[:2]):
        bench.say(f"hostile: {name}")
        waits, megabytes, stopping = _attacked(bench, name)
        more = {"waits": len(waits), "median_ms": sorted(waits)[len(waits) // 2]}
        yield Row(f"{name}: longest wait of others", "ms", (max(waits),), goal=_WAIT, more=more)
        yield Row(f"{name}: peak memory", "MB", (megabytes,), goal=_MEMORY)
        yield Row(f"{name}: time to stop", "s", (stopping,), goal=_STOP)


def _fill_log(bench: Bench) -> None:
    """Fill the log with 100,000 entries, like a year of edits."""
    entries = bench.choose(100_000, 1000)
    with psycopg.connect(bench.database_url, autocommit=True) as connection:
        connection.execute(f"set search_path to {catalogue.SCHEMA}")
        connection.execute(
            "insert into registry_changes "
            "(revision, table_name, row_id, operation, before, after, transaction_id, actor) "
            "select nextval('registry_revision'), c.table_name, c.row_id, 'update', c.after, c.after, null, 'b' "
            "from (select * from registry_changes where table_name = 'models' limit 100) c, "
            "generate_series(1, %s)",
            [entries // 100],
        )


def _attacked(bench: Bench, name: str) -> tuple[list[float], float, float]:
    """The waits of a normal caller in milliseconds, the service's peak in MB, and the seconds it took to stop."""
    with _service(bench, few_files=_FEW_FILES in name) as server:
        server.settle()
        with _attackers(name, server.port), _database(bench, hangs=_HANGS in name):
            time.sleep(bench.choose(1.0, 0.2))
            waits = _innocent(server, bench.choose(10.0, 1.0), writes=_OF_THE_LOG in name)
            megabytes = _peak_mb(server.pid)
            began = time.monotonic()
            os.kill(server.pid, signal.SIGTERM)
            psutil.wait_procs([psutil.Process(server.pid)], timeout=60)
            return waits, megabytes, time.monotonic() - began


@contextmanager
def _service(bench: Bench, *, few_files: bool) -> Iterator[servers.Server]:
    if not few_files:
        with bench.registry() as server:
            yield server
        return
    import resource  # noqa: PLC0415 (not on every system)

    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, before[1]))
    try:
        with bench.registry() as server:
            resource.setrlimit(resource.RLIMIT_NOFILE, before)
            yield server
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@contextmanager
def _attackers(name: str, port: int) -> Iterator[None]:
    argv = [sys.executable, str(_SCRIPT), name, str(port), servers.API_KEY]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        if process.stdout is not None:
            process.stdout.readline()
        yield
    finally:
        process.kill()
        process.wait()


@contextmanager
def _database(bench: Bench, *, hangs: bool) -> Iterator[None]:
    postgrest = psutil.Process(bench.stack.postgrest.pid)
    if hangs:
        postgrest.suspend()
    try:
        yield
    finally:
        postgrest.resume()


def _innocent(server: servers.Server, seconds: float, *, writes: bool) -> list[float]:
    """Request a list over a new connection each time, like a browser; optionally write now and then."""
    waits: list[float] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end or not waits:
        began = time.perf_counter()
        _ask(server.port, "GET", "/api/providers")
        waits.append((time.perf_counter() - began) * 1000)
        if writes:
            began = time.perf_counter()
            _ask(server.port, "POST", "/api/categories", {"key": f"c-{time.monotonic_ns()}", "name": "c"})
            waits.append((time.perf_counter() - began) * 1000)
        time.sleep(0.02)
    return waits


def _ask(port: int, method: str, path: str, body: object = None) -> None:
    headers = {"Authorization": f"Bearer {servers.API_KEY}", "Content-Type": "application/json"}
    content = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", content, headers, method=method)
    with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310
        response.read()


def _peak_mb(pid: int) -> float:
    """The process's peak memory, in MB (10^6 bytes).

    Without its child, which validates the registry's own configuration and receives nothing from callers.
    """
    return _peak_bytes(psutil.Process(pid)) / 1e6


def _peak_bytes(process: psutil.Process) -> float:
    try:
        lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    except OSError:
        return float(process.memory_info().rss)
    return next(float(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
