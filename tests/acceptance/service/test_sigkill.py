"""The service is killed while it works: acknowledged writes are kept, and its files on disk are intact."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg
import pytest

from model_registry.snapshot.snapshot import Snapshot
from support.processes import Service, StartService, client_of, wait_until
from support.waiting import LONGEST


class Writer(threading.Thread):
    """Adds one provider after another, and remembers which of them the service acknowledged."""

    def __init__(self, service: Service, numbers: count[int]) -> None:
        super().__init__(daemon=True)
        self.tried: list[str] = []
        self.acknowledged: list[str] = []
        self.refused: list[str] = []
        self._client = client_of(service.url, service.client.headers["Authorization"].removeprefix("Bearer "))
        self._numbers = numbers

    def run(self) -> None:
        with self._client as client:
            for number in self._numbers:
                name = f"provider-{number:06}"
                self.tried.append(name)
                try:
                    answer = client.post("/api/providers", json={"name": name, "type": "openai"})
                except httpx.HTTPError:
                    return  # killed: it is unknown whether this one was written
                (self.acknowledged if answer.status_code == 201 else self.refused).append(name)


def names(service: Service) -> set[str]:
    return {row["name"] for row in service.client.get("/api/providers").json()["items"]}


def saved(directory: Path) -> Snapshot:
    """The service's files on disk, which must be intact whenever it is killed."""
    return Snapshot.from_document(json.loads((directory / "snapshot.json").read_bytes()))


def test_nothing_acknowledged_is_lost(start_service: StartService, service_environment: dict[str, str]) -> None:
    numbers = count()
    tried: set[str] = set()
    acknowledged: set[str] = set()
    cache = Path(service_environment["MODEL_REGISTRY_CACHE_DIR"])
    for kill in range(2):
        service = start_service()
        assert acknowledged <= names(service)
        writer = Writer(service, numbers)
        writer.start()
        wait_until(lambda: len(writer.acknowledged) > 30 + 7 * kill)  # noqa: B023 (called at once)
        service.program.stop(signal.SIGKILL)
        writer.join()
        assert writer.refused == []
        tried |= set(writer.tried)
        acknowledged |= set(writer.acknowledged)
        assert {row.name for row in saved(cache).providers} <= tried

    # A write whose response was lost may or may not have been committed.
    assert acknowledged <= names(start_service()) <= tried
    assert len(acknowledged) > 60
    assert len(tried - acknowledged) <= 2


def stopped_while_it_saves(service: Service, cache: Path) -> tuple[bytes, set[str]]:
    """Freeze the service with a half-written file beside the last whole one; return that one, and all providers.

    Writing takes milliseconds: look without a pause, and try again when the file was whole before the freeze.
    """
    for number in range(100):
        before = (cache / "snapshot.json").read_bytes()
        service.post("/api/providers", {"name": f"late-{number}", "type": "openai"})
        deadline = time.monotonic() + LONGEST / 10
        while not os.path.lexists(next(iter(cache.glob(".snapshot.*.tmp")), "")) and time.monotonic() < deadline:
            pass
        service.program.tell(signal.SIGSTOP)
        wait_until(lambda: psutil.Process(service.program.pid).status() == psutil.STATUS_STOPPED)
        if list(cache.glob(".snapshot.*.tmp")):
            return before, {"many", *(f"late-{late}" for late in range(number + 1))}
        service.program.tell(signal.SIGCONT)
    raise AssertionError("it was never seen while it saved")


@pytest.fixture
def many_models(database: psycopg.Connection) -> None:
    """Enough models that writing them to disk takes long enough to be killed meanwhile."""
    database.execute("insert into model_providers (name, type) values ('many', 'openai')")
    database.execute(
        "insert into models (provider_id, name, model_id, description)"
        " select p.id, 'model ' || n, 'model ' || n, repeat('words ', 100)"
        " from model_providers p, generate_series(1, 5000) n"
    )


@pytest.mark.usefixtures("many_models")
def test_killed_while_it_saves_it_starts_from_the_file_before(
    stack: Any, start_service: StartService, service_environment: dict[str, str]
) -> None:
    cache = Path(service_environment["MODEL_REGISTRY_CACHE_DIR"])
    service = start_service()
    wait_until((cache / "snapshot.json").exists)
    before, written = stopped_while_it_saves(service, cache)
    service.program.stop(signal.SIGKILL)
    assert list(cache.glob(".snapshot.*.tmp"))  # it was in the middle of it
    assert (cache / "snapshot.json").read_bytes() == before
    kept = saved(cache)
    assert len(kept.models) == 5000

    stack.postgrest.kill()
    try:
        again = start_service()
        answer = again.client.get("/api/models?limit=1")
        assert (answer.status_code, answer.json()["count"]) == (200, 5000)
        assert "X-Registry-Stale" in answer.headers
        assert names(again) == {row.name for row in kept.providers} < written
    finally:
        stack.postgrest.start()
    wait_until(lambda: names(again) == written)
