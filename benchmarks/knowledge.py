"""Imports LiteLLM's whole price map into an empty registry, twice; then lists the resulting catalogue."""

from __future__ import annotations

import itertools
import json
import time
import urllib.request
from collections.abc import Iterator
from datetime import date
from typing import Any

from bench import Bench
from model_registry.cli.knowledge_import import Import
from model_registry.imports.sources.fetch import price_map_of_wheel, read_json
from model_registry.imports.sources.litellm_prices import read_prices
from report import Goal, Row
from servers import API_KEY, Server

_GOAL = Goal("value", "at most", 20)
_LIST = "/api/models?capability=tool_use&model_type=chat&limit=50"


def measure(bench: Bench) -> Iterator[Row]:
    """Seconds from reading the map to the registry's response; milliseconds of a filtered list."""
    path = price_map_of_wheel()
    if path is None:
        bench.say("litellm is not installed: no price map to import")
        return
    bench.fill(0)
    with bench.registry() as registry:
        rounds = (("import of the price map", "created"), ("the same again", "unchanged"))
        for name, outcome in rounds:
            bench.say(name)
            began, busy = time.perf_counter(), time.process_time() + registry.cpu_seconds()
            reading = read_prices(read_json(path), date(2026, 1, 1))
            report = _posted(registry, Import("litellm", reading, False, False, False, None).body())  # noqa: FBT003 (options)
            seconds = time.perf_counter() - began
            count = sum(entry["action"] == outcome for entry in report)
            cpu = time.process_time() + registry.cpu_seconds() - busy
            what = f"{name}: {len(reading.offers):,} offers, {count:,} {outcome}"
            yield Row(what, "s", (seconds,), goal=_GOAL, more={"cpu_seconds_of_client_and_service": round(cpu, 2)})
        # Each with another offset: repeated requests are answered from the cache.
        offsets = itertools.count()
        found, foreign = bench.rounds(
            "filtered list", bench.choose(15, 3), lambda: registry.timed(f"{_LIST}&offset={next(offsets)}")
        )
        yield Row(f"GET {_LIST}, not cached", "ms", tuple(found), foreign=foreign)
        yield Row("memory with the price map", "MB", (registry.rss_mb(),))


def _posted(registry: Server, body: dict[str, Any]) -> list[dict[str, Any]]:
    request = urllib.request.Request(
        f"http://127.0.0.1:{registry.port}/api/models/import",
        json.dumps(body).encode(),
        {"Content-Type": "application/json", "Authorization": f"Bearer {API_KEY}"},
    )
    with urllib.request.urlopen(request, timeout=120) as answer:  # noqa: S310 (loopback)
        report: list[dict[str, Any]] = json.load(answer)["report"]
    return report
