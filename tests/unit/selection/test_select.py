"""Choosing models: no constraint is ever broken, the order of rows does not matter, and each score explains itself."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from model_registry.entities.change import Operation
from model_registry.errors import Invalid
from model_registry.selection.model_index import ModelIndex
from model_registry.selection.request import SelectionRequest
from model_registry.selection.select import Selection, select
from model_registry.snapshot.snapshot import Snapshot
from support.catalogues import Catalogue
from support.choices import CONSTRAINTS, TOKENS, catalogue_of, keeps, operations, views

WEIGHTS = st.sampled_from([{}, {"quality": 0}, {"cost": 0, "speed": 0.5}, {"quality": 0, "cost": 0}])


def chosen(snapshot: Snapshot, **asked: Any) -> dict[str, Any]:
    """The answer, which has its documented shape and is JSON."""
    answer = select(snapshot, ModelIndex(snapshot), SelectionRequest.model_validate(asked))
    Selection.model_validate(answer)
    found: dict[str, Any] = json.loads(json.dumps(answer))
    return found


def names(answer: dict[str, Any]) -> list[str]:
    return [item["model"]["name"] for item in answer["items"]]


@given(operations(), CONSTRAINTS, TOKENS, WEIGHTS)
def test_what_is_chosen_is_all_that_breaks_no_constraint(
    made: list[Operation], constraints: dict[str, Any], tokens: dict[str, int], weights: dict[str, float]
) -> None:
    snapshot = catalogue_of(made)
    expected = {view["id"] for view in views(snapshot) if keeps(view, constraints, tokens)}

    answer = chosen(snapshot, constraints=constraints, tokens=tokens, weights=weights, limit=100, excluded_limit=1000)

    assert {item["model"]["id"] for item in answer["items"]} == expected
    excluded = answer["excluded"]["models"]
    assert {model["id"] for model in excluded} == {view["id"] for view in views(snapshot)} - expected
    assert all(model["reasons"] for model in excluded)
    broken = [reason["constraint"] for model in excluded for reason in model["reasons"]]
    assert answer["excluded"]["by_constraint"] == {name: broken.count(name) for name in broken}
    assert (answer["count"], answer["excluded"]["count"]) == (len(expected), len(excluded))


@given(operations(), st.randoms(use_true_random=False), CONSTRAINTS, WEIGHTS)
def test_the_order_of_rows_does_not_matter(
    made: list[Operation], random: Any, constraints: dict[str, Any], weights: dict[str, float]
) -> None:
    shuffled = made.copy()
    random.shuffle(shuffled)
    asked = {"constraints": constraints, "weights": weights}

    assert chosen(catalogue_of(shuffled), **asked) == chosen(catalogue_of(made), **asked)


@given(operations(), WEIGHTS)
def test_a_score_is_the_weighted_sum_of_its_parts(made: list[Operation], weights: dict[str, float]) -> None:
    items = chosen(catalogue_of(made), weights=weights)["items"]

    for item in items:
        assert item["score"] == pytest.approx(sum(part["weight"] * part["normalised"] for part in item["parts"]))
        assert sum(part["weight"] for part in item["parts"]) == pytest.approx(1)
        assert all(0 <= part["normalised"] <= 1 for part in item["parts"])
        assert all(part["normalised"] == 0 for part in item["parts"] if part["value"] is None)
    assert [item["rank"] for item in items] == list(range(1, len(items) + 1))
    assert [item["score"] for item in items] == sorted((item["score"] for item in items), reverse=True)


@pytest.fixture(scope="module")
def snapshot() -> Snapshot:
    catalogue = Catalogue()
    local = catalogue.provider("local", "ollama")
    cloud = catalogue.provider("cloud", "openai")
    price = {"cost_per_1m_input_tokens": 1, "cost_per_1m_output_tokens": 1}
    catalogue.model(local, "free", **dict.fromkeys(price, 0), latency_p50_ms=800, vram_mb=6000)
    catalogue.model(
        cloud, "good", **dict.fromkeys(price, 10), quality_scores={"coding": 0.9, "reasoning": 0.8}, latency_p50_ms=400
    )
    catalogue.model(cloud, "quick", **price, quality_scores={"coding": 0.5}, latency_p50_ms=100)
    unknown = catalogue.model(local, "unknown")
    deployments = [
        Operation(
            "model_deployments",
            "insert",
            f"d{i}",
            {
                "node_id": f"gpu-{i}",
                "provider_type": "ollama",
                "announced_model": "x",
                "model_id": model,
                "status": status,
            },
        )
        for i, (model, status) in enumerate(((unknown, "loaded"), ("models-0003", "loading"), (None, "loaded")))
    ]
    return catalogue.snapshot().preview(deployments)


def test_weights_that_are_not_given_are_0_when_one_is() -> None:
    def weights(**given: float) -> list[float]:
        return list(SelectionRequest.model_validate({"weights": given}).weights.model_dump().values())

    assert weights() == [1, 1, 1]
    assert weights(cost=2) == [0, 2, 0]
    assert weights(speed=0) == [1, 1, 0]


def test_weights_decide_who_is_first(snapshot: Snapshot) -> None:
    only = {"quality": 0, "cost": 0, "speed": 0}

    assert names(chosen(snapshot, weights=only | {"cost": 1})) == ["free", "quick", "good", "unknown"]
    assert names(chosen(snapshot, weights=only | {"speed": 3})) == ["quick", "good", "free", "unknown"]
    quality = {"weights": only | {"quality": 1}}
    assert names(chosen(snapshot, **quality)) == ["good", "quick", "free", "unknown"]
    # Of equal scores the catalogue's own order decides.
    assert names(chosen(snapshot, **quality, quality_scores={"creative": 1})) == ["free", "good", "quick", "unknown"]


def test_each_part_of_a_score_is_explained(snapshot: Snapshot) -> None:
    asked = {"tokens": {"input_tokens": 1000, "output_tokens": 0}, "quality_scores": {"coding": 2, "creative": 1}}

    good = next(item for item in chosen(snapshot, **asked)["items"] if item["model"]["name"] == "good")

    quality, cost, speed = good["parts"]
    assert (quality["value"], quality["unknown"]) == (pytest.approx(0.6), ["creative"])
    assert (cost["value"], cost["half"], cost["normalised"]) == (0.01, 0.001, pytest.approx(1 / 11))
    assert (speed["value"], speed["half"], speed["normalised"]) == (400, 400, 0.5)
    assert good["cost"] == {"exact": "0.01", "number": 0.01}


def test_what_is_unknown_breaks_a_limit_unless_it_may(snapshot: Snapshot) -> None:
    for limit in ({"max_cost": 1}, {"max_latency_p50_ms": 1000}, {"min_quality": {"coding": 0}}, {"vram_gb": 100}):
        assert "unknown" not in names(chosen(snapshot, constraints=limit))
        assert "unknown" in names(chosen(snapshot, constraints=limit | {"allow_unknown": True}))


def test_a_cost_limit_is_kept_to_the_last_digit(snapshot: Snapshot) -> None:
    tokens = {"input_tokens": 100_000, "output_tokens": 200_000}

    assert names(chosen(snapshot, tokens=tokens, constraints={"max_cost": "0.3"})) == ["quick", "free"]
    answer = chosen(snapshot, tokens=tokens, constraints={"max_cost": "0.29999999999999999999"})
    assert names(answer) == ["free"]
    reasons = {model["name"]: model["reasons"][0]["message"] for model in answer["excluded"]["models"]}
    assert reasons["quick"] == "the request costs 0.3 US dollars, more than 0.29999999999999999999"
    assert reasons["unknown"] == "not known: cost_per_1m_input_tokens, cost_per_1m_output_tokens"


@pytest.mark.parametrize(
    ("constraints", "left"),
    [
        ({"exclude_providers": ["openai"]}, {"free", "unknown"}),
        ({"providers": ["cloud"]}, {"good", "quick"}),
        ({"providers": []}, set()),
        ({"max_latency_p50_ms": 400}, {"good", "quick"}),
        ({"max_latency_p50_ms": 399}, {"quick"}),
        ({"min_quality": {"coding": 0.5}}, {"good", "quick"}),
        ({"min_quality": {"coding": 0.51}}, {"good"}),
        ({"vram_gb": 6.3}, {"free"}),
        ({"vram_gb": 6.2}, set()),
        ({"gpu": "RTX 4060"}, {"free"}),
        ({"gpu": "GTX 1060 3 GB", "gpus": 2}, set()),
        ({"gpu": "GTX 1060 3 GB", "gpus": 3}, {"free"}),
        ({"statuses": ["deprecated"]}, set()),
    ],
)
def test_limits_are_kept_where_they_lie(snapshot: Snapshot, constraints: dict[str, Any], left: set[str]) -> None:
    assert set(names(chosen(snapshot, constraints=constraints))) == left


def test_gpus_by_name_are_compared_as_validation_does() -> None:
    """A model that `/validate/inference` refuses on a GPU is not chosen for it."""
    catalogue = Catalogue()
    local = catalogue.provider()
    for name, needs in {
        "one": {"min_vram_gb": 8, "cuda_compute_capability": "8.9"},
        "two": {"min_vram_gb": 8, "min_gpus": 2},
        "newer": {"min_vram_gb": 8, "cuda_compute_capability": "9.0"},
    }.items():
        catalogue.model(local, name, requirements=needs)
    answer = chosen(catalogue.snapshot(), constraints={"gpu": "RTX 4090"})

    assert names(answer) == ["one"]
    reasons = {model["name"]: model["reasons"][0]["message"] for model in answer["excluded"]["models"]}
    assert reasons == {
        "two": "it needs 2 GPUs, and there are 1",
        "newer": "it needs CUDA compute capability 9.0, and there is 8.9",
    }


def test_only_what_is_loaded_counts_as_deployed(snapshot: Snapshot) -> None:
    assert names(chosen(snapshot, constraints={"deployed": True})) == ["unknown"]
    assert set(names(chosen(snapshot, constraints={"deployed": False}))) == {"free", "good", "quick"}


@pytest.mark.parametrize(
    ("constraints", "where"),
    [
        ({"model_types": ["poem"]}, "constraints.model_types"),
        ({"categories": ["cars"]}, "constraints.categories"),
        ({"providers": ["nobody"]}, "constraints.providers"),
        ({"exclude_providers": ["nobody"]}, "constraints.exclude_providers"),
    ],
)
def test_a_constraint_that_means_nothing_is_refused(
    snapshot: Snapshot, constraints: dict[str, Any], where: str
) -> None:
    with pytest.raises(Invalid, match="Unknown ") as caught:
        chosen(snapshot, constraints=constraints)

    assert [reason.where for reason in caught.value.reasons] == [where]


@pytest.mark.parametrize(
    "asked",
    [
        {"constraints": {"max_cost": "1e999999"}},
        {"weights": {"quality": 0, "cost": 0, "speed": 0}},
        {"weights": {"quality": float("nan")}},
        {"quality_scores": {}},
        {"tokens": {"input_tokens": 1, "cached_input_tokens": 2}},
        {"limit": 0},
    ],
)
def test_a_question_that_is_wrong_is_refused(asked: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        SelectionRequest.model_validate(asked)


def test_an_empty_catalogue_has_nothing_to_choose() -> None:
    assert chosen(Snapshot.empty()) == {
        "items": [],
        "count": 0,
        "excluded": {"count": 0, "by_constraint": {}, "models": []},
    }
