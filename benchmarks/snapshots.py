"""Measures loading the snapshot and applying one change to it, with three sizes of the catalogue.

A change is made in SQL; then a request with `Cache-Control: no-cache` makes the registry poll the database and apply
the change. Regular polling is switched off, as it might come first.
"""

from __future__ import annotations

import itertools
import json
import statistics
from collections.abc import Iterator

import psycopg

import catalogue
from bench import Bench
from report import Goal, Row
from servers import Server

_DOES_NOT_GROW = Goal("ratio", "at most", 1.5)
_LOOK = {"Cache-Control": "no-cache"}


def measure(bench: Bench) -> Iterator[Row]:
    """Measure loading and catching up at each size; catching up is also compared with the smallest size."""
    first: Row | None = None
    for models in bench.choose((1_000, 10_000, 50_000), (100, 1_000)):
        ids = bench.fill(models)
        yield _loads(bench, f"snapshot load, {models:,} models")
        caught_up = _catch_up(bench, ids, f"catch-up after one change, {models:,} models")
        yield caught_up
        if first is not None:
            yield Row(
                caught_up.what,
                "ms",
                caught_up.values,
                first.what.removeprefix("catch-up after one change, "),
                first.values,
                _DOES_NOT_GROW,
                caught_up.foreign,
            )
        first = first or caught_up


def _loads(bench: Bench, name: str) -> Row:
    """Time in which services loaded it at start, and the time for only reading the same document."""

    def one_round() -> tuple[float, float]:
        read = bench.postgrest.timed("/rpc/registry_snapshot")
        with bench.registry() as registry:
            metrics = registry.ask("/metrics").body.decode().splitlines()
        line = next(line for line in metrics if line.startswith("model_registry_snapshot_load_seconds "))
        return float(line.split()[1]) * 1000, read

    found, foreign = bench.rounds(name, bench.choose(3, 1), one_round)
    loads, reads = zip(*found, strict=True)
    return Row(name, "ms", loads, "reading the document", reads, foreign=foreign)


def _catch_up(bench: Bench, ids: list[str], name: str) -> Row:
    models = itertools.cycle(ids[::7])
    numbers = itertools.count()
    with (
        bench.registry(MODEL_REGISTRY_POLL_SECONDS="3600") as registry,
        psycopg.connect(bench.database_url, autocommit=True) as connection,
    ):
        connection.execute(f"set search_path to {catalogue.SCHEMA}")
        registry.settle()

        def one_round() -> tuple[float, float]:
            pairs = [
                _one_change(bench, registry, connection, next(models), f"changed for the {next(numbers)}th time")
                for _ in range(bench.choose(10, 3))
            ]
            ours, asking = zip(*pairs, strict=True)
            return statistics.median(ours), statistics.median(asking)

        found, foreign = bench.rounds(name, bench.choose(7, 2), one_round)
    ours, asking = zip(*found, strict=True)
    return Row(name, "ms", ours, "asking PostgREST what changed", asking, foreign=foreign)


def _one_change(
    bench: Bench, registry: Server, connection: psycopg.Connection, model: str, text: str
) -> tuple[float, float]:
    """Milliseconds from the request to a response with the change; and of the same query to PostgREST alone."""
    revision = registry.ask(f"/api/models/{model}", headers=_LOOK).header("x-registry-revision")
    connection.execute("update models set description = %s where id = %s", [text, model])
    asking = bench.postgrest.timed(f"/rpc/registry_changes_since?known_revision={revision}")
    took = registry.timed(f"/api/models/{model}", headers=_LOOK)
    if json.loads(registry.ask(f"/api/models/{model}").body)["description"] != text:
        message = "the registry answered before it had caught up"
        raise RuntimeError(message)
    return took, asking
