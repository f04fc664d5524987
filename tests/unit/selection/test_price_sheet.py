"""What one request costs at prices by length, tier, region and medium: exact, or what is not known."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from model_registry.entities.model import Model
from model_registry.entities.model_card import ModelCard, known
from model_registry.entities.prices import plain_text
from model_registry.selection.costs import cost_parts, missing_prices, request_costs
from model_registry.selection.estimates import EstimateRequest, estimates
from model_registry.selection.model_index import ModelIndex
from model_registry.selection.price_sheet import price_sheet
from model_registry.selection.request_counts import Counts, TokenCounts
from support.catalogues import Catalogue

PLAIN: dict[str, Any] = {
    "cost_per_1m_input_tokens": 5,
    "cost_per_1m_output_tokens": 25,
    "cost_per_1m_cached_input_tokens": 0.5,
}
LONG = [
    {"of": "input_tokens", "per_million": 10, "above_input_tokens": 200_000},
    {"of": "output_tokens", "per_million": "37.5", "above_input_tokens": 200_000},
]


def nested(request: dict[str, Any]) -> dict[str, Any]:
    """The request, its further counts in their object."""
    own = {name: value for name, value in request.items() if name in EstimateRequest.model_fields}
    return own | {"counts": {name: value for name, value in request.items() if name not in own}}


def asked(
    *further: dict[str, Any], model_type: str = "chat", card: dict[str, Any] | None = None, **request: Any
) -> Any:
    """The exact cost as text, or the list of what is not known."""
    fields = known(ModelCard.model_validate({**(PLAIN if card is None else card), "further_prices": list(further)}))
    model = Model(id="m", provider_id="p", name="m", model_id="m", model_type=model_type, card=fields)
    sheet = price_sheet(model)
    assert sheet is not None
    counted = TokenCounts.model_validate({"output_tokens": 0} | nested(request)).counted()
    cost = sheet.cost(counted)
    if counted.plain and counted.input_tokens <= sheet.plain_up_to:
        without = price_sheet(
            model.model_copy(update={"card": fields | {"further_prices": [], "price_factors": {"x": 1}}})
        )
        assert without is not None
        assert without.cost(counted) == cost
    return list(cost.missing) or plain_text(sum((charge.cost for charge in cost.charges), Decimal(0)))


def test_the_input_tokens_of_a_request_decide_the_price_of_all_its_tokens() -> None:
    tokens: dict[str, Any] = {"output_tokens": 4000}
    assert asked(*LONG, input_tokens=585_659, **tokens) == "6.00659"
    assert asked(*LONG, input_tokens=200_001, **tokens) == "2.15001"
    assert asked(*LONG, input_tokens=200_000, **tokens) == "1.1"


def test_a_price_of_a_shorter_request_is_no_price_of_a_longer_one() -> None:
    longer: dict[str, Any] = {"input_tokens": 300_000, "cached_input_tokens": 100_000}
    assert asked(*LONG, **longer) == ["the price of cached_input_tokens above 200,000 input tokens"]
    cached = {"of": "cached_input_tokens", "per_million": 1, "above_input_tokens": 200_000}
    assert asked(*LONG, cached, **longer) == "2.1"
    assert asked(*LONG, input_tokens=100_000, cached_input_tokens=100_000) == "0.05"


def test_tokens_without_a_price_of_their_own_have_that_of_the_whole() -> None:
    written = {"of": "cache_write_tokens", "per_million": "6.25"}
    assert asked(written, input_tokens=1_000_000, cache_write_1h_tokens=1_000_000) == "6.25"
    assert asked(*LONG, input_tokens=1_000_000, cache_write_tokens=1_000_000) == "10"
    hour = {"of": "cache_write_1h_tokens", "per_million": 10}
    split: dict[str, Any] = {
        "cache_write_tokens": 500_000,
        "cache_write_1h_tokens": 250_000,
        "cached_input_tokens": 200_000,
    }
    assert asked(written, hour, input_tokens=1_000_000, **split) == "5.975"


def test_what_a_model_thinks_is_asked_for_where_it_has_another_price() -> None:
    thinking = {"of": "reasoning_tokens", "per_million": 100}
    assert asked(thinking, input_tokens=0, output_tokens=10) == ["reasoning_tokens, which the request does not say"]
    assert asked(thinking, input_tokens=0, output_tokens=1_000_000, reasoning_tokens=500_000) == "62.5"
    assert asked({**thinking, "per_million": 25}, input_tokens=0, output_tokens=1_000_000) == "25"


@pytest.mark.parametrize(
    ("request_", "cost"),
    [
        ({"service_tier": "batch"}, "2.5"),
        ({"service_tier": "flex"}, ["the price of input_tokens in the service tier flex"]),
        ({"service_tier": "batch", "output_tokens": 1}, ["the price of output_tokens in the service tier batch"]),
        (
            {"service_tier": "batch", "cached_input_tokens": 1},
            ["the price of cached_input_tokens in the service tier batch"],
        ),
        ({"variant": "eu"}, "5.5"),
        ({"variant": "mars"}, ["the price of input_tokens for mars"]),
        ({"variant": "us-gov"}, "6"),
        ({"web_searches_low": 3}, ["the price of web_searches_low"]),
        ({"maps_searches": 3}, "5.075"),
    ],
)
def test_other_terms_have_their_own_prices(request_: dict[str, Any], cost: Any) -> None:
    further: list[dict[str, Any]] = [
        {"of": "input_tokens", "per_million": "2.5", "tier": "batch"},
        {"of": "input_tokens", "per_million": 6, "variant": "us-gov"},
        {"of": "maps_searches", "per_unit": "0.025"},
    ]
    assert asked(*further, card=PLAIN | {"price_factors": {"eu": 1.1}}, input_tokens=1_000_000, **request_) == cost


FREE = {"cost_per_1m_input_tokens": 0, "cost_per_1m_output_tokens": 0}
IMAGE = {"of": "output_images", "per_unit": "0.04"}


def test_what_takes_money_though_not_for_tokens_is_not_free() -> None:
    unsaid = "output_images, which the request does not say"
    assert asked(IMAGE, card=FREE, model_type="image", output_tokens=9) == [unsaid]
    assert asked({**IMAGE, "of": "input_images"}, card=FREE) == ["input_images, which the request does not say"]
    assert asked({"of": "other", "name": "base"}, card=FREE) == [
        "what it charges for as base, which the request does not say"
    ]
    assert asked(IMAGE, {"of": "requests", "per_unit": "0.005"}, card=FREE, output_images=2) == "0.085"


def test_pictures_and_sound_need_no_price_of_text() -> None:
    assert asked(IMAGE, card={}, model_type="image", output_images=3, output_tokens=9) == "0.12"
    seconds = {"of": "audio_seconds", "per_unit": "0.0001"}
    assert asked(seconds, card={}, model_type="audio", audio_seconds="60.5") == "0.00605"
    assert asked(seconds, card={}, model_type="audio") == ["audio_seconds, which the request does not say"]
    large = {**IMAGE, "per_unit": "0.2", "variant": "high"}
    assert asked(IMAGE, large, card={}, model_type="image", output_images=1, variant="high") == "0.2"
    assert asked(large, card={}, model_type="image", output_images=1) == ["the price of output_images"]


def test_nothing_is_computed_from_a_card_that_sql_has_spoilt() -> None:
    for card in ({"further_prices": "free"}, {"further_prices": [{"of": "luck"}]}, {"price_factors": {"eu": "x"}}):
        sheet = price_sheet(Model(id="m", provider_id="p", name="m", model_id="m", card=PLAIN | card))
        assert sheet is not None
        assert sheet.cost(TokenCounts().counted()).missing


@pytest.mark.parametrize(
    "wrong",
    [
        {"of": "input_tokens", "per_million": 1},
        {"of": "luck", "per_million": 1},
        {"of": "queries"},
        {"of": "queries", "per_unit": 1, "per_million": 1},
        {"of": "queries", "per_unit": -1},
        {"of": "queries", "per_unit": "NaN"},
        {"of": "queries", "per_unit": "1e999"},
        {"of": "queries", "per_unit": 1e-300},
        {"of": "other", "per_unit": 1},
        {"of": "queries", "per_unit": 1, "name": "x"},
    ],
)
def test_prices_that_mean_nothing_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ModelCard.model_validate({"further_prices": [wrong]})
    with pytest.raises(ValidationError, match="two prices of queries"):
        ModelCard.model_validate({"further_prices": [{"of": "queries", "per_unit": 1}] * 2})


def test_parts_are_within_their_whole() -> None:
    with pytest.raises(ValidationError, match="must not be more than output_tokens"):
        TokenCounts(output_tokens=3, counts=Counts(reasoning_tokens=2, output_audio_tokens=2))
    with pytest.raises(ValidationError) as refused:
        TokenCounts(input_tokens=3, cached_input_tokens=4)
    assert [error["loc"] for error in refused.value.errors()] == [("cached_input_tokens",)]


def test_models_with_and_without_further_prices_stand_in_one_order() -> None:
    catalogue = Catalogue()
    cloud = catalogue.provider("cloud", "openai")
    catalogue.model(cloud, "tiered", **PLAIN, further_prices=LONG)
    catalogue.model(cloud, "plain", cost_per_1m_input_tokens=7, cost_per_1m_output_tokens=0.1)
    catalogue.model(cloud, "drawn", further_prices=[IMAGE], model_type="image")
    snapshot = catalogue.snapshot()

    def found(**request: Any) -> dict[str, Any]:
        return estimates(snapshot, ModelIndex(snapshot), EstimateRequest.model_validate(nested(request)))

    short, long = found(input_tokens=100_000), found(input_tokens=300_000)
    assert [item["name"] for item in short["items"]] == ["tiered", "plain"]
    assert [item["name"] for item in long["items"]] == ["plain", "tiered"]
    assert [item["per_request"]["exact"] for item in long["items"]] == ["2.1001", "3.0375"]
    assert long["unpriced"][0]["why"].startswith("not known: output_images, which the request does not say")
    [drawn] = found(models=["drawn"], output_images=2)["items"]
    assert (drawn["other"]["exact"], drawn["per_request"]["exact"], drawn["not_included"]) == ("0.08", "0.08", [])
    assert found(models=["plain"], output_images=2)["unpriced"][0]["why"] == "not known: the price of output_images"
    assert found(service_tier="batch")["count"] == 0


def test_a_provider_can_say_that_it_costs_nothing() -> None:
    catalogue = Catalogue()
    own = catalogue.provider("own", "ollama", metadata={"costs_nothing": True})
    catalogue.model(own, "local")
    catalogue.model(own, "dear", cost_per_1m_input_tokens=1)
    catalogue.model(catalogue.provider("cloud", "openai"), "unknown")
    snapshot = catalogue.snapshot()
    index, request = ModelIndex(snapshot), TokenCounts(counts=Counts(output_images=1))

    costs = request_costs(index, request)

    by_name = {row.name: costs.dollars(position) for position, row in enumerate(index.rows)}
    assert by_name == {"local": 0, "dear": Decimal("0.001"), "unknown": None}
    names = [row.name for row in index.rows]
    assert missing_prices(index, names.index("unknown"), request)[0] == "cost_per_1m_input_tokens"
    assert cost_parts(index, names.index("local"), request)["input"] == 0
    assert index.numbers("cost_per_1m_output_tokens")[names.index("dear")] == 0


@pytest.mark.parametrize("factor", ["1e999999999", "1e-999990", "1e999990", "-1", "NaN", 10**400])
def test_a_factor_that_sql_wrote_and_no_model_can_have_makes_the_card_unreadable(factor: Any) -> None:
    """Its digits would be those of the costs of all models."""
    model = Model(id="m", provider_id="p", name="m", model_id="m", card=PLAIN | {"price_factors": {"eu": factor}})
    sheet = price_sheet(model)
    assert sheet is not None
    assert sheet.unreadable
