"""The prices of an entry of LiteLLM's map: every key has a meaning, and is written again as it was."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest

from model_registry.entities.model_card import ModelCard, known
from model_registry.gateways.litellm.model_info import written
from model_registry.imports.sources.fetch import price_map_of_wheel, read_json
from model_registry.imports.sources.items import Unusable
from model_registry.imports.sources.litellm_prices import read_prices
from model_registry.imports.sources.litellm_rates import XAI, dollars, factors, facts, rates

TODAY = date(2026, 6, 1)


def fields(provider: str = "openai", mode: str = "chat", **entry: Any) -> dict[str, Any]:
    read = facts(rates({"mode": mode, **entry}, provider, "m"), factors(entry))
    return {name: value for name, value in read.items() if value is not None}


def further(**entry: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = fields(**entry)["further_prices"]
    return found


def test_prices_may_be_text() -> None:
    text: dict[str, Any] = {"input_cost_per_token": "1e-06", "output_cost_per_token": "0.000002"}
    assert fields(**text) == {
        "cost_per_1m_input_tokens": 1.0,
        "cost_per_1m_output_tokens": 2.0,
    }


@pytest.mark.parametrize(
    ("key", "price"),
    [
        ("input_cost_per_token_above_128k_tokens", {"of": "input_tokens", "above_input_tokens": 128_000}),
        ("output_cost_per_token_batches", {"of": "output_tokens", "tier": "batch"}),
        (
            "cache_creation_input_token_cost_above_1hr_above_200k_tokens_flex",
            {"of": "cache_write_1h_tokens", "tier": "flex", "above_input_tokens": 200_000},
        ),
        (
            "input_cost_per_token_priority_above_200k_tokens",
            {"of": "input_tokens", "tier": "priority", "above_input_tokens": 200_000},
        ),
        ("output_cost_per_reasoning_token", {"of": "reasoning_tokens"}),
    ],
)
def test_a_key_says_what_for_how_long_and_on_which_terms(key: str, price: dict[str, Any]) -> None:
    assert further(**{key: 3e-07}) == [{"of": price.pop("of"), "per_million": "0.3", **price}]


def test_longer_requests_begin_at_the_number_itself_with_xai_and_by_range_above_it() -> None:
    [xai] = further(provider="xai", input_cost_per_token_above_200k_tokens=1e-06)
    assert xai["above_input_tokens"] == 199_999
    assert written({"further_prices": [xai]}, "chat", inclusive=True)[0] == {
        "input_cost_per_token_above_200k_tokens": 1e-06
    }
    tiers = [
        {"range": [0, 256000.0], "input_cost_per_token": 5e-08},
        {"range": [256000.0, 1e6], "input_cost_per_token": 2.5e-07},
    ]
    read = fields(tiered_pricing=tiers, input_cost_per_token=9)
    assert read["cost_per_1m_input_tokens"] == 0.05
    assert read["further_prices"] == [{"of": "input_tokens", "per_million": "0.25", "above_input_tokens": 256_000}]


def test_what_is_charged_by_the_piece() -> None:
    searches = {"search_context_size_low": 0.01}
    assert further(search_context_cost_per_query=searches) == [{"of": "web_searches_low", "per_unit": "0.01"}]
    assert further(provider="perplexity", search_context_cost_per_query=searches)[0]["every_request"] is True
    assert further(mode="audio_transcription", input_cost_per_second=0.0, output_cost_per_second=1e-05) == [
        {"of": "audio_seconds", "per_unit": "0.00001"}
    ]
    assert further(cost_per_second=0.002, input_cost_per_second=0.002) == [
        {"of": "running_seconds", "per_unit": "0.002"}
    ]
    assert further(mode="image_generation", input_cost_per_image=0.04) == [{"of": "output_images", "per_unit": "0.04"}]
    assert further(mode="image_generation", input_cost_per_image=0.01, output_cost_per_image=0.04) == [
        {"of": "input_images", "per_unit": "0.01"},
        {"of": "output_images", "per_unit": "0.04"},
    ]
    assert further(output_cost_per_image_2K=0.12) == [{"of": "output_images", "per_unit": "0.12", "variant": "2K"}]
    assert further(moon_cost_per_visit=5) == [{"of": "other", "name": "moon_cost_per_visit", "per_unit": "5"}]


def test_regions_and_hours() -> None:
    regions: dict[str, Any] = {
        "regional_processing_uplift_multiplier_eu": 1.1,
        "provider_specific_entry": {"us": 1.2, "realtime": 1},
    }
    assert fields(**regions) == {"price_factors": {"eu": "1.1", "us": "1.2"}}
    night = {"input_cost_per_token": 1e-07, "windows": [{"hours_utc": "00:00-06:00"}]}
    assert further(off_peak_pricing=night) == [{"of": "input_tokens", "per_million": "0.1", "tier": "off_peak"}]


def read(**entries: Any) -> Any:
    return read_prices(entries, TODAY)


CHAT = {"litellm_provider": "azure", "mode": "chat"}


@pytest.mark.parametrize("number", [float("nan"), float("inf"), "1e999", "NaN", 10**400, 1e300])
def test_a_price_that_is_no_number_passes_its_entry_over_and_no_other(number: Any) -> None:
    reading = read(**{"azure/odd": CHAT | {"input_cost_per_token": number}, "azure/fine": CHAT})
    assert [offer.model_id for offer in reading.offers] == ["fine"]
    [passed] = reading.unread
    assert (passed.name, passed.reason.partition(": ")[0]) == (
        "azure/odd",
        "input_cost_per_token is not a number of dollars",
    )
    json.dumps([offer.model_dump() for offer in reading.offers], allow_nan=False)


def test_a_price_that_depends_on_the_request_is_unknown() -> None:
    assert fields(input_cost_per_token=-1.0, output_cost_per_token=None) == {}


def test_regions_sizes_and_qualities_are_prices_of_their_model() -> None:
    image = {"litellm_provider": "fal_ai", "mode": "image_generation"}
    reading = read(
        **{
            "fal_ai/xhigh/1024-x-1024/acme/pix": image | {"output_cost_per_image": 0.2},
            "fal_ai/acme/pix": image | {"output_cost_per_image": 0.05},
            "azure/us-gov/gpt": CHAT | {"input_cost_per_token": 3e-06},
            "azure/apac/gpt": CHAT | {"input_cost_per_token": 4e-06},
            "azure/swedencentral/gpt": CHAT | {"input_cost_per_token": 5e-06},
            "azure/gpt": CHAT | {"input_cost_per_token": 2e-06},
            "1024-x-1024/50-steps/bedrock/nova": image | {"litellm_provider": "bedrock", "output_cost_per_image": 1},
            "together-ai-up-to-4b": CHAT | {"litellm_provider": "together_ai"},
            "fireworks-ai-56b-to-176b": CHAT | {"litellm_provider": "fireworks_ai"},
            "openai/*": CHAT | {"litellm_provider": "openai"},
        }
    )
    by_id = {offer.model_id: offer.fields for offer in reading.offers}
    assert by_id.keys() == {"acme/pix", "gpt", "nova"}
    assert by_id["acme/pix"]["further_prices"] == [
        {"of": "output_images", "per_unit": "0.05"},
        {"of": "output_images", "per_unit": "0.2", "variant": "xhigh/1024-x-1024"},
    ]
    assert by_id["gpt"]["cost_per_1m_input_tokens"] == 2.0
    assert [entry["variant"] for entry in by_id["gpt"]["further_prices"]] == ["us-gov", "apac", "swedencentral"]
    # What all of its sizes cost holds, where there is no other price.
    assert by_id["nova"]["further_prices"][0] == {"of": "output_images", "per_unit": "1"}
    assert [
        passed.reason for passed in reading.passed_over if passed.name.startswith(("together", "fire", "open"))
    ] == [
        "a price of all models of a size, and no model",
        "a price of all models of a size, and no model",
        "a pattern of names, and no model",
    ]


def test_every_price_of_the_whole_map_has_a_meaning_and_is_written_again() -> None:
    path = price_map_of_wheel()
    assert path is not None
    document: Any = read_json(path)
    lost = set()
    for key, entry in document.items():
        if (
            not isinstance(entry.get("litellm_provider"), str)
            or "alias_of" in entry
            or entry.get("mode") in {None, "video_generation"}
        ):
            continue
        card = facts(rates(entry, entry["litellm_provider"], key), factors(entry))
        kept = known(ModelCard.model_validate(card))
        lost |= {price["name"] for price in kept.get("further_prices", ()) if price["of"] == "other"}
        again, left_out = written(kept, entry["mode"], inclusive=entry["litellm_provider"] == XAI)
        for name in again:
            assert name in entry or name in SAME or "tiered_pricing" in entry, (key, name)
            if isinstance(entry.get(name), int | float) and name not in SAME and "tiered_pricing" not in entry:
                assert again[name] == float(entry[name]), (key, name)
        assert all(what in lost or "off_peak" in what or "output_images " in what for what in left_out), (key, left_out)
    assert lost == {
        "annotation_cost_per_page",
        "annotation_cost_per_page_batches",
        "guardrail_cost_per_unit",
        "input_cost_per_second",
        "input_cost_per_video_per_second_above_15s_interval",
        "input_cost_per_video_per_second_above_8s_interval",
        "ocr_cost_per_credit",
        "output_cost_per_second",
    }


SAME = {
    "cost_per_second",
    "input_cost_per_pixel",
    "input_cost_per_second",
    "output_cost_per_image",
    "provider_specific_entry",
    "regional_processing_uplift_multiplier_us",
}
"""Keys that mean the same as one that an entry has."""


@pytest.mark.parametrize("price", ["1e-99999999", "0e-99999999", "1e-9999999999999", "0e9999999999999"])
def test_a_price_with_an_exponent_that_would_fill_the_memory_is_none(price: str) -> None:
    with pytest.raises(Unusable, match="not a number of dollars"):
        dollars(price, "input_cost_per_request")
