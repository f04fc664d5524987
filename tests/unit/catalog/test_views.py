"""Statistics, comparisons, the matrix and OpenAI's list agree with the models."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given

from model_registry.catalog.openai_models import OpenAIModels, openai_model, openai_models
from model_registry.entities.change import Operation
from model_registry.entities.model import FLAGS
from model_registry.selection.model_index import ModelIndex
from model_registry.selection.overviews import Comparison, ModelStats, columns, compare, compatibility_row, model_stats
from model_registry.snapshot.snapshot import Snapshot
from support.catalogues import Catalogue
from support.choices import catalogue_of, operations, views


@pytest.fixture(scope="module")
def snapshot() -> Snapshot:
    catalogue = Catalogue()
    local, cloud = catalogue.provider("local", "ollama"), catalogue.provider("cloud", "openai")
    catalogue.provider("nobody", "groq")
    catalogue.model(cloud, "a/b", context_length=8192, cost_per_1m_input_tokens=2, capabilities=["tools", "poetry"])
    local_row = catalogue.model(
        local, "a/b", routing_priority=-1, context_length=4096, cost_per_1m_input_tokens=0, capabilities=["vision"]
    )
    catalogue.model(local, "off", status="disabled", tags=["small"], category="text-llm", quality_scores={"coding": 1})
    for alias, context in (("usual", None), ("in_agents", "agents"), ("of_default", "default")):
        catalogue.alias(local_row, alias, context)
    return catalogue.snapshot()


def test_statistics_count_and_spread(snapshot: Snapshot) -> None:
    found = model_stats(snapshot, ModelIndex(snapshot))

    ModelStats.model_validate(found)
    assert (found["total"], found["offered"]) == (3, 2)
    assert found["by_status"] == {"active": 2, "disabled": 1}
    assert found["by_provider"] == {"local": 2, "cloud": 1, "nobody": 0}
    assert found["by_capability"] == {"poetry": 1, "tool_use": 1, "vision": 1}
    assert (found["by_type"], found["by_category"], found["by_tag"]) == ({"chat": 3}, {"text-llm": 1}, {"small": 1})
    assert found["numbers"]["context_window"] == {
        "unit": "tokens",
        "known": 2,
        "min": 4096,
        "median": 4096,
        "max": 8192,
    }
    assert "latency_p50_ms" not in found["numbers"]


@given(operations())
def test_statistics_add_up(made: list[Operation]) -> None:
    snapshot = catalogue_of(made)
    found = model_stats(snapshot, ModelIndex(snapshot))

    rows = views(snapshot)
    assert found["offered"] == sum(row["offered"] for row in rows)
    assert found["by_status"] == {s: n for s in found["by_status"] if (n := sum(row["status"] == s for row in rows))}
    assert sum(found["by_provider"].values()) == sum(found["by_type"].values()) == len(rows)
    for name in ("cost_per_1m_input_tokens", "latency_p50_ms"):
        known = sorted(row[name] for row in rows if row[name] is not None)
        spread = found["numbers"].get(name)
        assert (spread and (spread["known"], spread["min"], spread["max"])) == (
            (len(known), known[0], known[-1]) if known else None
        )


def fields(snapshot: Snapshot, *names: str) -> dict[str, dict[str, Any]]:
    found = compare(snapshot, [m for name in names for m in snapshot.models.where("name", name)])
    Comparison.model_validate(found)
    differing = [field["differs"] for field in found["fields"]]
    assert differing == sorted(differing, reverse=True)
    return {field["field"]: field for field in found["fields"]}


def test_a_comparison_says_what_differs_and_who_is_best(snapshot: Snapshot) -> None:
    found = fields(snapshot, "a/b", "off")

    assert found["context_window"] == {
        "field": "context_window",
        "differs": True,
        "values": [4096, 8192, None],
        "unit": "tokens",
        "better": "high",
        "best": [1],
    }
    assert found["cost_per_1m_input_tokens"]["best"] == [0]
    assert found["quality_scores.coding"]["values"] == [None, None, 1]
    assert found["supports.vision"]["values"] == [True, False, False]
    assert (found["model_type"]["differs"], found["model_type"]["best"]) == (False, [])
    assert not found.keys() & {"id", "version", "context_length", "latency_p50_ms"}


def test_the_matrix_has_every_capability_by_its_one_name(snapshot: Snapshot) -> None:
    capabilities = columns(ModelIndex(snapshot))

    assert capabilities == [*FLAGS, "poetry"]
    rows = [compatibility_row(snapshot, model, capabilities) for model in snapshot.models]
    held = [[c for c, holds in zip(capabilities, r["supports"], strict=True) if holds] for r in rows]
    assert held == [["vision"], ["tool_use", "poetry"], []]
    assert [row["offered"] for row in rows] == [True, True, False]


def test_openai_lists_each_name_once_with_aliases_that_hold_everywhere(snapshot: Snapshot) -> None:
    found = openai_models(snapshot)

    OpenAIModels.model_validate({"object": "list", "data": found})
    assert [(entry["id"], entry["owned_by"]) for entry in found] == [
        ("a/b", "local"),
        ("of_default", "local"),
        ("usual", "local"),
    ]
    assert json.dumps(openai_model(snapshot, "a/b")) == json.dumps(found[0])
    assert openai_model(snapshot, "off") is None
    assert openai_model(snapshot, "in_agents") is None
