"""Renders the gateway's configuration: all of it, and after one change."""

from __future__ import annotations

import itertools
import json
import statistics
from collections.abc import Iterator

import psycopg

import catalogue
from bench import Bench, milliseconds
from model_registry.entities.change import Change
from model_registry.gateways.tensorzero.rendering.render import RenderCache, Rendered, render
from model_registry.snapshot.snapshot import Snapshot
from report import Goal, Row

_A_TENTH = Goal("ratio", "at most", 0.1)


def measure(bench: Bench) -> Iterator[Row]:
    """Measure the function alone, then the request of a client."""
    models = bench.choose(10_000, 300)
    ids = bench.fill(models)
    snapshot = Snapshot.from_document(json.loads(bench.postgrest.ask("/rpc/registry_snapshot").body))
    history = _History(snapshot)
    name = f"rendering {models:,} models after one change"

    def one_round() -> tuple[float, float]:
        cold = milliseconds(lambda: render(snapshot, RenderCache()))
        return statistics.median(history.change() for _ in range(5)), cold

    found, foreign = bench.rounds(name, bench.choose(5, 2), one_round)
    changed, cold = zip(*found, strict=True)
    yield Row(name, "ms", changed, "rendering them cold", cold, _A_TENTH, foreign)
    yield _over_http(bench, ids, f"GET /api/tensorzero/config after one change, {models:,} models")


class _History:
    """A catalogue that changes model by model, and its configuration."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._cache = RenderCache()
        self._rendered: Rendered = render(snapshot, self._cache)
        self._chat = itertools.cycle([model.id for model in snapshot.models if model.model_type == "chat"])

    def change(self) -> float:
        """Change one model; return the milliseconds that rendering takes."""
        model, revision = self._snapshot.models[next(self._chat)], self._snapshot.revision + 1
        row = model.model_dump() | {"model_id": f"renamed-at-{revision}"}
        change = Change(revision, "", "benchmark", None, "models", model.id, "update", row)
        self._snapshot = self._snapshot.advanced(revision, [change])
        before = self._rendered
        took = milliseconds(self._render)
        if self._rendered.text == before.text:
            message = "the change did not reach the configuration"
            raise RuntimeError(message)
        return took

    def _render(self) -> None:
        self._rendered = render(self._snapshot, self._cache)


def _over_http(bench: Bench, ids: list[str], name: str) -> Row:
    """Response time of a request right after a change: polling the database, rendering, responding.

    Without the gateway's own check, during which the previous configuration is served: `delivery.py` measures that.
    """
    models, numbers = itertools.cycle(ids[::7]), itertools.count()
    unchecked = bench.registry(MODEL_REGISTRY_CHECK_WITH_GATEWAY="false")
    with unchecked as registry, psycopg.connect(bench.database_url, autocommit=True) as connection:
        connection.execute(f"set search_path to {catalogue.SCHEMA}")
        registry.settle()

        def one_change() -> float:
            renamed = [f"renamed-{next(numbers)}", next(models)]
            connection.execute("update models set model_id = %s where id = %s", renamed)
            return registry.timed("/api/tensorzero/config", headers={"Cache-Control": "no-cache"})

        found, foreign = bench.rounds(name, bench.choose(11, 3), one_change)
    return Row(name, "ms", tuple(found), foreign=foreign)
