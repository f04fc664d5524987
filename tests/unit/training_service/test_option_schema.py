"""The options of a task, made of what its models recommend."""

from __future__ import annotations

from typing import Any

import pytest
from jsonschema import Draft202012Validator

from model_registry.training_service.option_schema import option_schema
from support.training_entries import DOCUMENTS, ENTRIES


def test_defaults_are_those_of_the_best_priority_and_ranges_span_all() -> None:
    schema = option_schema(DOCUMENTS["timm"]["models"], "image_classification")

    assert schema is not None
    found = schema["properties"]
    assert found["model_name"]["enum"] == ["tf_efficientnetv2_s.in1k", "convnext_tiny", "vit_base_patch16_224"]
    assert [found["batch_size"][key] for key in ("default", "minimum", "maximum")] == [64, 16, 128]
    assert found["learning_rate"]["default"] == 0.001
    assert found["image_size"] == {"type": "integer", "default": 384}
    assert found["optimizer"] == {"type": "string", "default": "AdamW (recommended) or RMSprop"}


@pytest.mark.parametrize("task", sorted({task for entry in ENTRIES.values() for task in entry["task_types"]}))
def test_every_task_of_the_real_models_has_a_valid_schema_that_its_defaults_meet(task: str) -> None:
    schema = option_schema(list(ENTRIES.values()), task)

    assert schema is not None
    Draft202012Validator.check_schema(schema)
    defaults = {name: option["default"] for name, option in schema["properties"].items() if "default" in option}
    Draft202012Validator(schema).validate(defaults | {"model_name": schema["properties"]["model_name"]["enum"][0]})


def test_a_task_without_models_has_none() -> None:
    assert option_schema(list(ENTRIES.values()), "nothing") is None


@pytest.mark.parametrize("odd", [None, 1, "x", [], [1], {"batch_size": None}, {"batch_size": {"range": ["a", None]}}])
def test_odd_recommendations_are_passed_over(odd: Any) -> None:
    entry = {"framework": "f", "model_name": "m", "task_types": ["t"], "recommended_settings": odd, "priority": odd}
    schema = option_schema([entry], "t")

    assert schema is not None
    assert set(schema["properties"]) == {"model_name", "pretrained"}
