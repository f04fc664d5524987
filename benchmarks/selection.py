"""Choosing models: `POST /api/models/select` and filtered lists, with three sizes of the catalogue.

The limit is the minimum of work in Python: one loop over as many floats, and `sorted` of those that pass, which is one
constraint and one ranking. Both run in one process and the same round, and are measured in processor time: they wait
for nothing, so this is their duration on an otherwise idle machine.
"""

from __future__ import annotations

import itertools
import json
import random
import time
from collections.abc import Callable, Iterator
from typing import Any

from bench import Bench
from model_registry.entities.change import Change
from model_registry.selection.list_filters import ModelFilter, search_models
from model_registry.selection.model_index import ModelIndexes
from model_registry.selection.request import SelectionRequest
from model_registry.selection.select import select
from model_registry.snapshot.snapshot import Snapshot
from model_registry.snapshot.table_specs import SPECS
from model_registry.store.json_bytes import json_bytes
from report import Goal, Row

_SIZES = (1_000, 4_000, 50_000)
_FOUR_THOUSAND = 4_000
_WITHIN = Goal("value", "at most", 5)
_ASKED: dict[str, Any] = {
    "constraints": {
        "capabilities": ["tool_use"],
        "min_context": 16_000,
        "max_cost": "0.05",
        "exclude_providers": ["provider_1"],
        "min_quality": {"coding": 0.2},
    },
    "weights": {"quality": 2, "cost": 1, "speed": 1},
    "quality_scores": {"coding": 2, "reasoning": 1},
}
_FILTERS = {"capability": ["tool_use"], "min_context": 16_000, "offered": True, "q": "model 7"}


def measure(bench: Bench) -> Iterator[Row]:
    """The response as bytes, from the body as received: everything that the service does except HTTP."""
    for models in bench.choose(_SIZES, (100, 1_000)):
        catalogue = _Catalogue(models)
        catalogue.select()
        goal = _WITHIN if models <= _FOUR_THOUSAND else None
        name = f"select, {models:,} models"
        yield _beside_a_bare_loop(bench, f"{name}, a new question", catalogue, catalogue.select, goal)
        yield _beside_a_bare_loop(bench, f"{name}, asked again", catalogue, catalogue.select_again, goal)
        yield _beside_a_bare_loop(bench, f"{name}, after one change", catalogue, catalogue.select_after_change, None)
        yield _beside_a_bare_loop(bench, f"filter and sort, {models:,} models", catalogue, catalogue.search, goal)


def _beside_a_bare_loop(
    bench: Bench, name: str, catalogue: _Catalogue, action: Callable[[], float], goal: Goal | None
) -> Row:
    def one_round() -> tuple[float, float]:
        return min(action() for _ in range(5)), min(catalogue.bare() for _ in range(5))

    found, foreign = bench.rounds(name, bench.choose(5, 2), one_round)
    ours, bare = zip(*found, strict=True)
    return Row(name, "ms", ours, "a bare loop and sorted()", bare, goal, foreign)


def _computing(action: Callable[[], object]) -> float:
    """Processor time of an action, milliseconds."""
    began = time.thread_time()
    action()
    return (time.thread_time() - began) * 1000


class _Catalogue:
    """A catalogue of the given size with facts as in price lists, and the same number of floats."""

    def __init__(self, models: int) -> None:
        self._snapshot = _snapshot(models)
        self._indexes = ModelIndexes()
        self._numbers = itertools.count()
        self._floats = [random.random() for _ in range(models)]  # noqa: S311 (no secret)
        self._ids = itertools.cycle([model.id for model in self._snapshot.models][::7])

    def bare(self) -> float:
        """The minimum cost of one constraint and one sort."""
        return _computing(lambda: sorted([number for number in self._floats if number <= 0.5]))  # noqa: PLR2004

    def select(self) -> float:
        """A request whose costs are not cached: its token counts differ each time."""
        return self._select({"input_tokens": 4_000 + next(self._numbers), "output_tokens": 500})

    def select_again(self) -> float:
        """The request that an application repeats."""
        return self._select({"input_tokens": 4_000, "output_tokens": 500})

    def select_after_change(self) -> float:
        """The first request after a model has changed."""
        snapshot = self._snapshot
        model, revision = snapshot.models[next(self._ids)], snapshot.revision + 1
        row = model.model_dump() | {"card": model.card | {"latency_p50_ms": 100 + revision}}
        change = Change(revision, "", "benchmark", None, "models", model.id, "update", row)
        self._snapshot = snapshot.advanced(revision, [change])
        return self.select_again()

    def search(self) -> float:
        """A page of a filtered list that is not cached."""
        index = self._indexes.of(self._snapshot)
        filters = ModelFilter.model_validate(_FILTERS)
        return _computing(lambda: search_models(self._snapshot, index, filters, "-cost_per_1m_input_tokens"))

    def _select(self, tokens: dict[str, int]) -> float:
        body = json.dumps(_ASKED | {"tokens": tokens})

        def answer() -> None:
            asked = SelectionRequest.model_validate_json(body)
            json_bytes(select(self._snapshot, self._indexes.of(self._snapshot), asked))

        return _computing(answer)


def _snapshot(models: int) -> Snapshot:
    """A catalogue like LiteLLM's price list: few different prices; quality and latency of some models only."""
    drawn = random.Random(1)  # noqa: S311 (the same catalogue each time)
    providers = [{"id": f"p{i}", "name": f"provider_{i}", "type": "openai_compatible"} for i in range(40)]
    rows = [
        {
            "id": f"m{i}",
            "provider_id": f"p{i % 40}",
            "name": f"model_{i}",
            "model_id": f"organisation-{i % 97}/model-{i}",
            "model_type": "embedding" if i % 10 == 5 else "chat",  # noqa: PLR2004
            "capabilities": ["chat", "function_calling", "json_mode"][: 1 + i % 3],
            "context_length": 1024 * (1 + i % 128),
            "description": f"All-rounder number {i}, good at tools and long documents",
            "card": _card(drawn, i),
        }
        for i in range(models)
    ]
    tables: dict[str, list[dict[str, Any]]] = {name: [] for name in SPECS}
    tables |= {"model_providers": providers, "models": rows}
    return Snapshot.from_document({"registry_id": "benchmark", "revision": 1, "tables": tables})


def _card(drawn: random.Random, number: int) -> dict[str, Any]:
    price = drawn.choice((0.05, 0.1, 0.15, 0.25, 0.3, 0.5, 0.6, 1.0, 1.25, 2.5, 3.0, 15.0))
    card: dict[str, Any] = {"display_name": f"Model {number}", "tags": ["recommended"][: number % 2]}
    card |= {"cost_per_1m_input_tokens": price, "cost_per_1m_output_tokens": price * 4}
    if number % 3 == 0:
        card |= {"latency_p50_ms": drawn.randrange(50, 5000), "category": "text-llm"}
        card["quality_scores"] = {score: round(drawn.random(), 2) for score in ("reasoning", "coding", "creative")}
    return card
