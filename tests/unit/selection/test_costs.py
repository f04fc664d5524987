"""Costs are exact for any prices of a catalogue, and name missing prices."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_registry.errors import ModelNotFound
from model_registry.selection.estimates import EstimateRequest, Estimates, estimates
from model_registry.selection.model_index import ModelIndex
from model_registry.snapshot.snapshot import Snapshot
from support.catalogues import Catalogue
from support.choices import cost, views

_PRICES = st.none() | st.floats(0, 1_000_000) | st.sampled_from([5e-324, 1e-7, 0.1, 0.15])
_COUNTS = st.integers(0, 10**12)


def estimated(snapshot: Snapshot, **asked: Any) -> dict[str, Any]:
    found = estimates(snapshot, ModelIndex(snapshot), EstimateRequest.model_validate(asked))
    Estimates.model_validate(found)
    return found


@given(st.lists(st.tuples(_PRICES, _PRICES, _PRICES), max_size=4), _COUNTS, _COUNTS, st.floats(0, 1), _COUNTS)
def test_every_digit_is_right(prices: list[Any], input_: int, output: int, cached: float, requests: int) -> None:
    catalogue = Catalogue()
    local = catalogue.provider()
    for number, (of_input, of_output, of_cached) in enumerate(prices):
        catalogue.model(
            local,
            f"m{number}",
            cost_per_1m_input_tokens=of_input,
            cost_per_1m_output_tokens=of_output,
            cost_per_1m_cached_input_tokens=of_cached,
        )
    snapshot = catalogue.snapshot()
    tokens = {
        "input_tokens": input_,
        "output_tokens": output,
        "cached_input_tokens": int(input_ * cached) % (input_ + 1),
    }

    found = estimated(snapshot, **tokens, requests=requests)

    expected = {view["name"]: cost(view, tokens) for view in views(snapshot)}
    exact = {item["name"]: Fraction(item["per_request"]["exact"]) for item in found["items"]}
    assert exact == {name: value for name, value in expected.items() if value is not None}
    assert {item["name"] for item in found["unpriced"]} == {name for name, value in expected.items() if value is None}
    for item in found["items"]:
        parts = [Fraction(item[kind]["exact"]) for kind in ("input", "cached_input", "output")]
        assert sum(parts) == exact[item["name"]]
        assert Fraction(item["total"]["exact"]) == exact[item["name"]] * requests
        assert item["total"]["number"] == float(Fraction(item["total"]["exact"]))
    assert list(exact.values()) == sorted(exact.values())


@pytest.fixture(scope="module")
def snapshot() -> Snapshot:
    catalogue = Catalogue()
    local, cloud = catalogue.provider("local"), catalogue.provider("cloud", "openai")
    price = {"cost_per_1m_input_tokens": 0.15, "cost_per_1m_output_tokens": 0.6}
    catalogue.model(cloud, "m", **price, cost_per_1m_cached_input_tokens=0.075)
    catalogue.model(local, "m", **dict.fromkeys(price, 0))
    catalogue.model(cloud, "embed", cost_per_1m_input_tokens=0.02)
    catalogue.model(cloud, "old", **price, status="deprecated")
    return catalogue.snapshot()


def test_models_stand_side_by_side_cheapest_first(snapshot: Snapshot) -> None:
    tokens = {"input_tokens": 1000, "cached_input_tokens": 400, "output_tokens": 500}

    found = estimated(snapshot, models=["m", "embed"], requests=3, **tokens)

    assert [(item["name"], item["provider_name"]) for item in found["items"]] == [("m", "local"), ("m", "cloud")]
    paid = found["items"][1]
    shown = {kind: paid[kind]["exact"] for kind in ("input", "cached_input", "output", "per_request", "total")}
    assert shown == {
        "input": "0.00009",
        "cached_input": "0.00003",
        "output": "0.0003",
        "per_request": "0.00042",
        "total": "0.00126",
    }
    assert [(item["name"], item["why"]) for item in found["unpriced"]] == [
        ("embed", "not known: cost_per_1m_output_tokens")
    ]


def test_a_price_that_no_token_needs_may_be_unknown(snapshot: Snapshot) -> None:
    found = estimated(snapshot, models=["embed"], input_tokens=10, output_tokens=0, cached_input_tokens=10)

    assert found["items"][0]["per_request"]["exact"] == "0.0000002"


def test_without_names_all_that_is_offered_is_meant_or_what_a_filter_says(snapshot: Snapshot) -> None:
    assert estimated(snapshot)["count"] + estimated(snapshot)["unpriced_count"] == 3
    assert [item["name"] for item in estimated(snapshot, filter={"status": ["deprecated"]})["items"]] == ["old"]
    with pytest.raises(ModelNotFound):
        estimated(snapshot, models=["nobody"])
