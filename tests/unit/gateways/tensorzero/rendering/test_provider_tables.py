"""Prices and timeouts of the catalogue become keys of the gateway if a row requests them, and only then."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

from model_registry.errors import InvalidConfiguration
from model_registry.gateways.tensorzero.rendering.render import configuration_tree, render
from model_registry.gateways.tensorzero.rules.write_guard import refuse_bad_configuration
from model_registry.snapshot.snapshot import Snapshot
from support.catalogues import Catalogue

PRICES = {"cost_per_1m_input_tokens": 0.15, "cost_per_1m_output_tokens": 6}
COST = [
    {"pointer": "/usage/prompt_tokens", "cost_per_million": 0.15},
    {"pointer": "/usage/completion_tokens", "cost_per_million": 6.0},
]


def catalogue(type_: str = "openai_compatible", **model: Any) -> Catalogue:
    made = Catalogue()
    made.model(made.provider("p", type_), "m", **model)
    return made


def provider_table(made: Catalogue, section: str = "models") -> dict[str, Any]:
    refuse_bad_configuration(Snapshot.empty(), made.operations)
    table: dict[str, Any] = tomllib.loads(render(made.snapshot()).text)[section]["m"]["providers"]["p"]
    return table


def test_metadata_does_not_leak_into_a_configuration() -> None:
    plain, priced = catalogue(), catalogue(metadata={**PRICES, "timeouts": {"total_ms": 9}})
    assert render(plain.snapshot()).text == render(priced.snapshot()).text


def test_parts_of_a_count_are_charged_the_difference_and_the_rest_is_named() -> None:
    further = [
        {"of": "reasoning_tokens", "per_million": "7"},
        {"of": "input_tokens", "per_million": "0.3", "above_input_tokens": 128_000},
        {"of": "output_tokens", "per_million": "3", "tier": "batch"},
        {"of": "input_images", "per_unit": "0.01"},
    ]
    card: dict[str, Any] = PRICES | {
        "cost_per_1m_cached_input_tokens": 0.05,
        "further_prices": further,
        "price_factors": {"eu": "1.1"},
    }
    made = catalogue(tensorzero={"from_metadata": ["cost"]}, **card)
    assert provider_table(made)["cost"] == [
        *COST,
        {"pointer": "/usage/prompt_tokens_details/cached_tokens", "cost_per_million": -0.1},
        {"pointer": "/usage/completion_tokens_details/reasoning_tokens", "cost_per_million": 1.0},
    ]
    [omission] = render(made.snapshot()).omitted
    assert omission.kind == "price"
    assert omission.reason == (
        "its cost in the gateway leaves out the prices of input_tokens above 128000 input tokens; output_tokens batch; "
        "input_images; factors for eu"
    )


def test_prices_become_cost_where_the_row_asks() -> None:
    made = catalogue(metadata=PRICES, tensorzero={"from_metadata": ["cost"]})
    assert provider_table(made)["cost"] == COST


def test_timeouts_become_timeouts_where_the_row_asks() -> None:
    limits = {"total_ms": 9000, "ttft_ms": 500}
    made = catalogue(metadata={"timeouts": limits}, tensorzero={"from_metadata": ["timeouts"]})
    assert provider_table(made)["timeouts"] == {"non_streaming": {"total_ms": 9000}, "streaming": limits}


def test_an_embedding_model_has_one_price_and_one_limit() -> None:
    made = catalogue(
        model_type="embedding",
        metadata={**PRICES, "timeouts": {"total_ms": 9000}},
        tensorzero={"from_metadata": ["cost", "timeouts"]},
    )
    table = provider_table(made, "embedding_models")
    assert (table["cost"], table["timeout_ms"]) == (COST[:1], 9000)


def test_what_is_written_by_hand_wins() -> None:
    own = [{"pointer": "/usage/total_tokens", "cost_per_million": 1.0}]
    made = catalogue("anthropic", metadata=PRICES, tensorzero={"from_metadata": ["cost"], "provider": {"cost": own}})
    assert provider_table(made)["cost"] == own


@pytest.mark.parametrize(
    ("type_", "metadata", "asked", "says"),
    [
        ("vllm", PRICES, ["prices"], "must be a list of cost and timeouts"),
        ("vllm", PRICES, "cost", "must be a list of cost and timeouts"),
        ("vllm", {}, ["cost"], "the model has no cost_per_1m_input_tokens"),
        ("vllm", {**PRICES, "cost_per_1m_output_tokens": "6 USD"}, ["cost"], "must be a number from 0 up"),
        ("vllm", {**PRICES, "cost_per_1m_output_tokens": -1}, ["cost"], "must be a number from 0 up"),
        ("anthropic", PRICES, ["cost"], "does not report usage as OpenAI does"),
        ("vllm", {}, ["timeouts"], "metadata.timeouts has neither total_ms"),
        ("vllm", {"timeouts": {"total_ms": 0}}, ["timeouts"], "metadata.timeouts has neither total_ms"),
        ("vllm", {"timeouts": {"total_ms": 10**7}}, ["timeouts"], "900000"),
    ],
)
def test_what_cannot_be_done_is_refused_with_the_reason(
    type_: str, metadata: dict[str, Any], asked: Any, says: str
) -> None:
    made = catalogue(type_, metadata=metadata, tensorzero={"from_metadata": asked})
    with pytest.raises(InvalidConfiguration) as caught:
        refuse_bad_configuration(Snapshot.empty(), made.operations)
    assert any(says in str(reason) for reason in caught.value.reasons), caught.value.reasons


@pytest.mark.parametrize(
    ("kind", "base", "rendered"),
    [
        ("ollama", "http://gpu:11434", "http://gpu:11434/v1"),
        ("ollama", "http://gpu:11434/", "http://gpu:11434/v1"),
        ("ollama", "http://gpu:11434/v1/", "http://gpu:11434/v1/"),
        ("ollama", "https://proxy/ollama", "https://proxy/ollama/v1"),
        ("ollama", "http://gpu:11434/api/", "http://gpu:11434/v1"),
        ("ollama", "http://gpu:11434/api/generate", "http://gpu:11434/v1"),
        ("openai_compatible", "http://gpu:11434", "http://gpu:11434"),
    ],
)
def test_an_ollama_is_asked_below_v1(kind: str, base: str, rendered: str) -> None:
    catalogue = Catalogue()
    catalogue.model(catalogue.provider("p", kind, api_base=base), "m")
    table = configuration_tree(catalogue.snapshot())["models"]["m"]["providers"]["p"]
    assert table["api_base"] == rendered
