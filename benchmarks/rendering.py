"""Renders the configurations of gateways: all of it, and after one change."""

from __future__ import annotations

import itertools
import json
import statistics
from collections.abc import Iterator

import psycopg

import catalogue
from bench import Bench, milliseconds
from model_registry.entities.change import Change
from model_registry.entities.gateway import Gateway
from model_registry.gateways.kind import GatewayKind, Rendered
from model_registry.gateways.litellm.kind import LITELLM
from model_registry.gateways.tensorzero.kind import TENSORZERO
from model_registry.snapshot.snapshot import Snapshot
from report import Goal, Row

_A_TENTH = Goal("ratio", "at most", 0.1)


def measure(bench: Bench) -> Iterator[Row]:
    """Measure the function alone, then the request of a client."""
    models = bench.choose(10_000, 300)
    ids = bench.fill(models)
    snapshot = Snapshot.from_document(json.loads(bench.postgrest.ask("/rpc/registry_snapshot").body))
    for kind in (TENSORZERO, LITELLM):
        yield _of_kind(bench, kind, snapshot, f"{kind.name}: rendering {models:,} models after one change")
    yield _over_http(bench, ids, f"GET /api/tensorzero/config after one change, {models:,} models")


def _of_kind(bench: Bench, kind: GatewayKind, snapshot: Snapshot, name: str) -> Row:
    history = _History(kind, snapshot)

    def one_round() -> tuple[float, float]:
        cold = milliseconds(lambda: kind.make_renderer().render(snapshot, history.gateway))
        return statistics.median(history.change() for _ in range(5)), cold

    found, foreign = bench.rounds(name, bench.choose(5, 2), one_round)
    changed, cold = zip(*found, strict=True)
    return Row(name, "ms", changed, "rendering them cold", cold, _A_TENTH, foreign)


class _History:
    """A catalogue that changes model by model, and its configuration."""

    def __init__(self, kind: GatewayKind, snapshot: Snapshot) -> None:
        self.gateway = Gateway(id="", name=kind.name, kind=kind.name)
        self._file = kind.main_file
        self._snapshot = snapshot
        self._renderer = kind.make_renderer()
        self._rendered: Rendered = self._renderer.render(snapshot, self.gateway)
        self._chat = itertools.cycle([model.id for model in snapshot.models if model.model_type == "chat"])

    def change(self) -> float:
        """Change one model; return the milliseconds that rendering takes."""
        model, revision = self._snapshot.models[next(self._chat)], self._snapshot.revision + 1
        row = model.model_dump() | {"model_id": f"renamed-at-{revision}"}
        change = Change(revision, "", "benchmark", None, "models", model.id, "update", row)
        self._snapshot = self._snapshot.advanced(revision, [change])
        before = self._rendered
        took = milliseconds(self._render)
        if self._rendered.files[self._file] == before.files[self._file]:
            message = "the change did not reach the configuration"
            raise RuntimeError(message)
        return took

    def _render(self) -> None:
        self._rendered = self._renderer.render(self._snapshot, self.gateway)


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
