"""Groups of functions: the deployments of their variants' models, shared by weight and ordered by priority."""

from __future__ import annotations

from typing import Any

import pytest

from model_registry.gateways.litellm.rendering.function_groups import function_group
from support.catalogues import Catalogue


def entries(catalogue: Catalogue) -> list[dict[str, Any]]:
    snapshot = catalogue.snapshot()
    [function] = snapshot.functions
    return function_group(snapshot, function).entries()


def omitted(catalogue: Catalogue) -> list[tuple[str, str, str]]:
    snapshot = catalogue.snapshot()
    [function] = snapshot.functions
    return [(o.kind, o.name, o.reason) for o in function_group(snapshot, function).omissions]


def asked(catalogue: Catalogue) -> list[tuple[str, int | None, float | None]]:
    found = [entry["litellm_params"] for entry in entries(catalogue)]
    return [(one["model"].removeprefix("openai/"), one.get("order"), one.get("weight")) for one in found]


def models(catalogue: Catalogue, *names: str) -> list[str]:
    return [catalogue.model(catalogue.provider(f"p_{name}"), name, model_id=name) for name in names]


def test_a_function_has_the_deployments_of_its_model_under_its_own_name() -> None:
    catalogue = Catalogue()
    [m] = models(catalogue, "m")
    catalogue.function()
    mapping = catalogue.mapping(m)
    [entry] = entries(catalogue)
    assert entry["model_name"] == "svc_chat"
    assert entry["model_info"]["id"] == f"{mapping}:{m}"
    assert asked(catalogue) == [("m", None, None)]


def test_the_first_priority_shares_by_weight_the_others_follow_one_by_one_and_fallbacks_come_last() -> None:
    catalogue = Catalogue()
    a, b, c, d, e = models(catalogue, "a", "b", "c", "d", "e")
    catalogue.function()
    catalogue.mapping(a, "a", priority=1, weight=3, fallback_model_id=e)
    catalogue.mapping(b, "b", priority=1, weight=1)
    catalogue.mapping(c, "c", priority=2, weight=9)
    catalogue.mapping(d, "d", priority=2, weight=1)
    assert asked(catalogue) == [("a", 1, 3), ("b", 1, 1), ("c", 2, None), ("d", 3, None), ("e", 4, None)]


def test_a_variants_share_is_divided_among_its_models_deployments_and_their_levels_are_kept() -> None:
    catalogue = Catalogue()
    one = catalogue.model(catalogue.provider("x"), "two", model_id="x")
    catalogue.model(catalogue.provider("y"), "two", model_id="y")
    catalogue.model(catalogue.provider("z"), "two", model_id="z", routing_priority=1)
    [single] = models(catalogue, "single")
    catalogue.function()
    catalogue.mapping(one, "one", weight=1)
    catalogue.mapping(single, "single", weight=1)
    assert asked(catalogue) == [("x", 1, 0.5), ("y", 1, 0.5), ("z", 2, 1), ("single", 1, 1)]


def test_what_a_variant_says_of_its_calls_goes_with_it() -> None:
    catalogue = Catalogue()
    [m] = models(catalogue, "m")
    catalogue.function(litellm={"litellm_params": {"tags": ["svc"]}})
    extras = {"temperature": 0.2, "json_mode": "strict"}
    catalogue.mapping(m, tensorzero=extras, litellm={"litellm_params": {"top_k": 4}})
    [entry] = entries(catalogue)
    assert entry["litellm_params"] == {
        "model": "openai/m",
        "api_base": "http://openai-compatible.example/v1",
        "api_key": "none",
        "temperature": 0.2,
        "tags": ["svc"],
        "top_k": 4,
    }
    assert omitted(catalogue) == [("setting", "svc_chat.v.json_mode", "LiteLLM has nothing like it")]


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"type": "json"}, "LiteLLM has no functions of type json: no schema would be sent to the model"),
        (
            {"tensorzero": {"system_schema": "a.json"}},
            "LiteLLM has no templates and no schemas of inputs, and it has system_schema",
        ),
        ({"tensorzero": {"tools": ["t"]}}, "LiteLLM offers a model no tools of its own, and it has tools"),
    ],
)
def test_a_function_that_changes_a_requests_text_is_left_out(columns: dict[str, Any], reason: str) -> None:
    catalogue = Catalogue()
    [m] = models(catalogue, "m")
    catalogue.function(**columns)
    catalogue.mapping(m)
    assert entries(catalogue) == []
    assert omitted(catalogue) == [("function", "svc_chat", reason)]


@pytest.mark.parametrize(
    ("extras", "reason"),
    [
        ({"system_template": "a.minijinja"}, "LiteLLM has no templates, and it has system_template"),
        (
            {"type": "experimental_best_of_n_sampling"},
            "LiteLLM has no variants of type experimental_best_of_n_sampling",
        ),
    ],
)
def test_a_variant_that_does_more_than_ask_is_left_out_and_the_others_stay(extras: dict[str, Any], reason: str) -> None:
    catalogue = Catalogue()
    a, b = models(catalogue, "a", "b")
    catalogue.function()
    catalogue.mapping(a, "a", tensorzero=extras)
    catalogue.mapping(b, "b")
    assert asked(catalogue) == [("b", None, None)]
    assert omitted(catalogue) == [("variant", "svc_chat.a", reason)]


def test_a_function_without_a_usable_model_is_left_out_with_the_reasons_of_its_variants() -> None:
    catalogue = Catalogue()
    m = catalogue.model(catalogue.provider("p", "custom"), "m")
    catalogue.function()
    catalogue.mapping(m)
    assert entries(catalogue) == []
    assert omitted(catalogue) == [
        ("function", "svc_chat", "none of its variants has a model that LiteLLM can use"),
        (
            "variant",
            "svc_chat.v",
            "its model m is left out: at provider p: LiteLLM has no name for providers of type custom",
        ),
    ]


def test_experiments_variants_without_a_model_and_unknown_keys_are_named() -> None:
    catalogue = Catalogue()
    [m] = models(catalogue, "m")
    extras = {"experimentation": {"type": "adaptive"}, "variants": {"best": {"type": "x"}}, "odd": 1}
    catalogue.function(tensorzero=extras)
    catalogue.mapping(m)
    assert [(kind, name) for kind, name, _ in omitted(catalogue)] == [
        ("setting", "svc_chat.experimentation"),
        ("setting", "svc_chat.odd"),
        ("variant", "svc_chat.best"),
    ]
    assert asked(catalogue) == [("m", None, None)]
