"""A model's card: which facts may be written, and what an edit by hand does to their sources."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from model_registry.catalog.field_sources import by_hand
from model_registry.entities.model import Model, flags
from model_registry.entities.model_card import CARD_FIELDS, ModelCard, known

BAD = {
    "cost_per_1m_input_tokens": -1,
    "max_output_tokens": 0,
    "quality_scores": {"reasoning": 1.5},
    "parameters": "a lot",
    "requirements": {"min_vram_gb": 8, "recommended_vram_gb": 4, "cuda_compute_capability": "new"},
    "inference_defaults": {"dtype": "int3", "gpu_memory_utilization": 2},
    "urls": {"docs": "not a url"},
    "retires_on": "soon",
    "latency_p50_ms": 100,
    "latency_p99_ms": 50,
}


def test_every_bad_field_is_named_at_once() -> None:
    with pytest.raises(ValidationError) as caught:
        ModelCard.model_validate(BAD)

    places = {".".join(map(str, error["loc"])) for error in caught.value.errors()}
    assert places == {
        *("cost_per_1m_input_tokens", "max_output_tokens", "quality_scores.reasoning", "parameters"),
        *("requirements.recommended_vram_gb", "requirements.cuda_compute_capability"),
        *("inference_defaults.dtype", "inference_defaults.gpu_memory_utilization", "urls.docs", "retires_on"),
        "latency_p99_ms",
    }


def test_what_is_unknown_is_not_kept_and_what_others_defined_is_kept_whole() -> None:
    card = ModelCard.model_validate(
        {
            "display_name": "M",
            "requirements": {"min_vram_gb": 4, "min_gpus": None},
            "training_defaults": {"hyperparameters": {"learning_rate": 0.0002, "seed": None}},
        }
    )

    assert known(card) == {
        "display_name": "M",
        "requirements": {"min_vram_gb": 4.0},
        "training_defaults": {"hyperparameters": {"learning_rate": 0.0002, "seed": None}, "lora_config": {}},
    }


def test_no_field_of_the_card_is_a_column_too() -> None:
    assert not Model.model_fields.keys() & set(CARD_FIELDS)


def test_capabilities_have_one_name_each() -> None:
    assert [flag for flag, held in flags(["Function_Calling", "vision", "chat"]).items() if held] == [
        "vision",
        "tool_use",
    ]


EDITS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"card": {"display_name": "M", "tags": ["a"]}}, {}),
    ({"card": {"display_name": "N", "tags": ["a"]}}, {"card_changes": {"display_name": "N"}}),
    # The importer's price becomes ours; what is emptied must not be filled again.
    (
        {"card": {"display_name": "M", "cost_per_1m_input_tokens": 1.0}},
        {
            "card_changes": {"cost_per_1m_input_tokens": 1.0, "tags": None},
            "field_sources_changes": {"cost_per_1m_input_tokens": None, "tags": "hand"},
        },
    ),
    ({"vram_mb": 8}, {"vram_mb": 8, "field_sources_changes": {"vram_mb": None}}),
    ({"vram_mb": None}, {"vram_mb": None, "field_sources_changes": {"vram_mb": "hand"}}),
]


@pytest.mark.parametrize(("columns", "edit"), EDITS)
def test_an_edit_by_hand_writes_what_it_changes_and_remembers_whose_it_is(
    columns: dict[str, Any], edit: dict[str, Any]
) -> None:
    sources = {"cost_per_1m_input_tokens": "litellm", "vram_mb": "ollama"}
    model = Model(
        id="1",
        provider_id="p",
        name="m",
        model_id="m",
        vram_mb=6,
        card={"display_name": "M", "tags": ["a"]},
        field_sources=sources,
    )

    assert by_hand(model, columns) == edit
