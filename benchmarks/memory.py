"""Memory of the service's process with a large catalogue, when ready and after use, beside an empty catalogue."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg

import catalogue
from bench import Bench
from report import Goal, Row
from servers import Server

_LIMIT = Goal("value", "at most", 200)


def measure(bench: Bench) -> Iterator[Row]:
    """Resident memory when ready, and after every kind of read and a series of changes."""
    bench.fill(0)
    with bench.registry() as registry:
        empty = registry.rss_mb()
    models = bench.choose(10_000, 300)
    ids = bench.fill(models)
    with bench.registry() as registry:
        ready = registry.rss_mb()
        registry.settle()
        bench.say("using the registry")
        _use(bench, registry, ids)
        used = registry.rss_mb()
    beside = "with an empty catalogue"
    yield Row(f"memory when ready, {models:,} models", "MB", (ready,), beside, (empty,), _LIMIT)
    yield Row(f"memory after use, {models:,} models", "MB", (used,), beside, (empty,), _LIMIT)


def _use(bench: Bench, registry: Server, ids: list[str]) -> None:
    """Use the service and fill its caches: whole lists, the configuration, single models, reads after changes."""
    with psycopg.connect(bench.database_url, autocommit=True) as connection:
        connection.execute(f"set search_path to {catalogue.SCHEMA}")
        for number in range(bench.choose(30, 3)):
            connection.execute("update models set model_id = %s where id = %s", [f"renamed-{number}", ids[number]])
            for target in ("/api/models", "/api/tensorzero/config", "/api/mappings", "/api/aliases"):
                registry.ask(target, headers={"Cache-Control": "no-cache"})
    for id_ in ids[:3000]:
        registry.ask(f"/api/models/{id_}")
