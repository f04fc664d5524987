"""Writes, in rows per second: `POST /api/models` beside the same insert sent straight to PostgREST.

Both write to the same table, with the same triggers, the same change log and the same fsync. The registry also checks
the row against the configuration that it becomes part of, and returns the row as readers see it.
"""

from __future__ import annotations

import itertools
import json
import statistics
from collections.abc import Iterator
from typing import Any

import load
from bench import Bench
from report import Goal, Row
from servers import API_KEY, Server

_GOAL = Goal("ratio", "at least", 0.6)


def measure(bench: Bench) -> Iterator[Row]:
    """Measure one writer, then eight concurrent ones."""
    models = bench.fill(bench.choose(1_000, 100))
    with bench.registry() as registry:
        provider = json.loads(registry.ask(f"/api/models/{models[0]}").body)["provider_id"]
        headers = {"Content-Type": "application/json"}
        own = headers | {"Authorization": f"Bearer {API_KEY}"}
        direct = headers | bench.postgrest.headers | {"Prefer": "return=representation"}
        numbers = itertools.count()
        streams = (
            (registry, (load.request("POST", "/api/models", own, _model(provider, n)) for n in numbers)),
            (bench.postgrest, (load.request("POST", "/models", direct, _model(provider, n)) for n in numbers)),
        )
        for writers, name in ((1, "POST /api/models, one writer"), (8, "POST /api/models, 8 writers")):
            yield _rounds(bench, name, streams, writers)


def _model(provider_id: str, number: int) -> bytes:
    row: dict[str, Any] = {
        "provider_id": provider_id,
        "name": f"written_{number}",
        "model_id": f"organisation/written-{number}:latest",
        "model_type": "chat",
        "capabilities": ["chat", "function_calling"],
        "vram_mb": 6144,
        "context_length": 32768,
        "description": "A model that a benchmark wrote",
    }
    return json.dumps(row).encode()


def _rounds(
    bench: Bench,
    name: str,
    streams: tuple[tuple[Server, Iterator[bytes]], tuple[Server, Iterator[bytes]]],
    writers: int,
) -> Row:
    rounds, seconds = bench.choose((7, 1.5), (2, 0.25))
    registry = streams[0][0]

    def one_round() -> list[load.Load]:
        # First apply the rows that the peer wrote: that is not part of a write.
        registry.ask("/healthz", headers={"Cache-Control": "no-cache"})
        return [
            load.run(server.port, requests, connections=writers, seconds=seconds, status=201)
            for server, requests in streams
        ]

    one_round()  # to warm up
    found, foreign = bench.rounds(name, rounds, one_round)
    ours, direct = (tuple(one.per_second for one in runs) for runs in zip(*found, strict=True))
    more = {}
    for who, runs in zip(("registry", "postgrest"), zip(*found, strict=True), strict=True):
        more[f"{who}_p50_ms"] = round(statistics.median(one.p50_ms for one in runs), 3)
        more[f"{who}_p99_ms"] = round(statistics.median(one.p99_ms for one in runs), 3)
    return Row(name, "/s", ours, "the same insert at PostgREST", direct, _GOAL, foreign, more)
