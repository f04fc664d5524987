"""LiteLLM's price map: the offers made from its entries, and the entries that are skipped."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_registry.entities.offer import Offer, SourceContent
from model_registry.gateways.litellm.model_info import per_token
from model_registry.imports.sources.litellm_prices import read_prices

TODAY = date(2026, 6, 1)
CHAT = {"litellm_provider": "openai", "mode": "chat"}
# Small on purpose: one odd value is as odd as a hundred, which take Hypothesis so long that it complains.
ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=3,
)


def read(**entries: Any) -> SourceContent:
    return read_prices(entries, TODAY)


def one(key: str = "gpt", **entry: Any) -> Offer:
    (offer,) = read_prices({key: CHAT | entry}, TODAY).offers
    return offer


def reasons(reading: SourceContent) -> dict[str, str]:
    return {passed.name: passed.reason for passed in reading.passed_over}


def test_prices_limits_and_capabilities_come_along() -> None:
    fields = one(
        input_cost_per_token=1.5e-07,
        output_cost_per_token=6e-07,
        cache_read_input_token_cost=7.5e-08,
        max_input_tokens=128000,
        max_output_tokens=16384,
        supports_function_calling=True,
        supports_vision=True,
        supports_response_schema=True,
        supports_audio_input=False,
        source="https://example.org/pricing",
    ).fields
    assert {name: value for name, value in fields.items() if value is not None} == {
        "model_type": "chat",
        "status": "active",
        "capabilities": ["chat", "streaming", "tool_use", "vision", "json_mode", "structured_outputs"],
        "category": "vision-vlm",
        "context_length": 128000,
        "max_output_tokens": 16384,
        "cost_per_1m_input_tokens": 0.15,
        "cost_per_1m_output_tokens": 0.6,
        "cost_per_1m_cached_input_tokens": 0.075,
        "urls": {"pricing": "https://example.org/pricing"},
    }


@given(st.decimals(0, 1_000_000, places=6))
def test_prices_go_to_a_million_tokens_and_back_exactly(price: Decimal) -> None:
    token = float(price / 1_000_000)
    assert one(input_cost_per_token=token).fields["cost_per_1m_input_tokens"] == float(price)
    assert per_token(float(price)) == token


def test_what_is_deprecated_today_is_offered_as_such() -> None:
    for day, status in (("2026-06-01", "deprecated"), ("2026-06-02", "active")):
        fields = one(deprecation_date=day, successor_model="gpt-2").fields
        assert (fields["status"], fields["deprecated_on"], fields["replaced_by"]) == (status, day, "gpt-2")
    assert one(deprecation_date="soon").fields["deprecated_on"] is None


@pytest.mark.parametrize(
    ("key", "litellm_provider", "provider", "kind", "model_id"),
    [
        ("gpt-4o", "openai", "openai", "openai", "gpt-4o"),
        ("ft:davinci-002", "text-completion-openai", "openai", "openai", "ft:davinci-002"),
        ("gemini/gemini-x", "gemini", "google_ai_studio", "google_ai_studio_gemini", "gemini-x"),
        ("vertex_ai/gemini-x", "vertex_ai", "gcp_vertex_gemini", "gcp_vertex_gemini", "gemini-x"),
        ("gemini-y", "vertex_ai-language-models", "gcp_vertex_gemini", "gcp_vertex_gemini", "gemini-y"),
        ("vertex_ai/c@1", "vertex_ai-anthropic_models", "gcp_vertex_anthropic", "gcp_vertex_anthropic", "c@1"),
        ("vertex_ai/meta/l-maas", "vertex_ai-llama_models", "vertex_ai", "custom", "meta/l-maas"),
        ("us.amazon.nova", "bedrock_converse", "aws_bedrock", "aws_bedrock", "us.amazon.nova"),
        ("bedrock/us-east-1/a.b", "bedrock", "aws_bedrock", "aws_bedrock", "a.b"),
        ("azure/eu/gpt-4o", "azure", "azure", "azure", "gpt-4o"),
        ("together_ai/Qwen/Q", "together_ai", "together", "together", "Qwen/Q"),
        ("amazon-nova/n", "amazon_nova", "amazon_nova", "custom", "n"),
        ("deepinfra/google/g", "deepinfra", "deepinfra", "custom", "google/g"),
    ],
)
def test_whose_a_model_is_and_what_it_is_called_there(
    key: str, litellm_provider: str, provider: str, kind: str, model_id: str
) -> None:
    offer = one(key, litellm_provider=litellm_provider)
    assert (offer.provider, offer.provider_type, offer.model_id, offer.name) == (provider, kind, model_id, key)


def test_a_price_list_does_not_know_what_a_server_of_ones_own_has() -> None:
    offer = one("ollama/llama3.1", litellm_provider="ollama")
    assert (offer.provider, offer.provider_type, offer.model_id) == (None, "ollama", "llama3.1")


def test_prices_of_regions_and_sizes_are_no_models_of_their_own() -> None:
    cheap, dear = ({"input_cost_per_token": price, "litellm_provider": "azure"} for price in (1e-06, 2e-06))
    reading = read(**{"azure/us/gpt": CHAT | dear, "azure/gpt": CHAT | cheap, "azure/eu/gpt": CHAT | dear})
    assert [(o.name, o.fields["cost_per_1m_input_tokens"]) for o in reading.offers] == [("azure/gpt", 1.0)]
    assert reasons(reading) == dict.fromkeys(("azure/us/gpt", "azure/eu/gpt"), "another price of azure/gpt")
    successor = CHAT | {"litellm_provider": "azure", "successor_model": "azure/eu/gpt"}
    reading = read(**{"azure/old": successor, "azure/gpt": CHAT | cheap, "azure/eu/gpt": CHAT | dear})
    assert reading.offers[0].fields["replaced_by"] == "azure/gpt"


def test_what_is_no_model_of_ours_is_passed_over_with_the_reason() -> None:
    reading = read(
        sample_spec=CHAT,
        alias={"alias_of": "gpt"},
        nobody={"mode": "chat"},
        film=CHAT | {"mode": "video_generation"},
        odd=CHAT | {"mode": []},
        text="what",
    )
    assert reading.offers == ()
    assert reasons(reading).keys() == {"sample_spec", "alias", "nobody", "film", "odd", "text"}
    assert read_prices([], TODAY).offers == ()


@pytest.mark.parametrize(
    ("mode", "model_type", "category"),
    [
        ("responses", "chat", "text-llm"),
        ("embedding", "embedding", "embedding"),
        ("rerank", "reranker", "reranker"),
        ("image_edit", "image", "image-generation"),
        ("audio_speech", "tts", "text-to-speech"),
        ("audio_transcription", "audio", "speech-to-text"),
        ("realtime", "audio", None),
    ],
)
def test_modes_are_types(mode: str, model_type: str, category: str | None) -> None:
    fields = one(mode=mode).fields
    assert (fields["model_type"], fields["category"]) == (model_type, category)


@given(st.dictionaries(st.text(max_size=5), ODD, max_size=4))
def test_whatever_stands_in_a_map_is_read(document: dict[str, Any]) -> None:
    keys = ("input_cost_per_token", "max_input_tokens", "source", "deprecation_date", "successor_model", "rpm")
    entries = {key: CHAT | dict.fromkeys(keys, value) for key, value in document.items()}
    assert len(read_prices(entries | {"x": 1}, TODAY).offers) <= len(entries)
