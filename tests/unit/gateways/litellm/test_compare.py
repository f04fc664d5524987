"""The comparison of LiteLLM configurations: which differences it must find, and which forms it must treat as equal."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from model_registry.gateways.litellm.compare import compare

Tree = dict[str, Any]
Edit = Callable[[Tree], object]

TREE: Tree = {
    "model_list": [
        {
            "model_name": "g",
            "litellm_params": {
                "model": "openai/a",
                "api_key": "os.environ/A",
                "api_base": "http://h:1/v1",
                "order": 1,
                "weight": 3,
                "rpm": 5,
                "extra_body": {"a": {"b": [1, True, "x"]}},
                "output_cost_per_token": 0.5,
            },
            "model_info": {"id": "one", "mode": "chat", "supports_vision": True, "own": {"x": 1}},
            "tpm": 7,
        },
        {"model_name": "g", "litellm_params": {"model": "azure/b", "order": 2}, "model_info": {"id": "two"}},
        {"model_name": "h", "litellm_params": {"model": "ollama/c", "api_key": "none"}, "model_info": {"id": "three"}},
    ],
    "router_settings": {
        "model_group_alias": {"x": "g", "y": {"model": "h", "hidden": True}},
        "fallbacks": [{"g": ["h"]}],
        "num_retries": 2,
    },
    "litellm_settings": {"drop_params": True, "callbacks": ["a", "b"]},
    "environment_variables": {"A": "b", "N": 4},
    "credential_list": [{"credential_name": "c", "credential_values": {"api_key": "os.environ/A"}}],
    "own_section": {"a": 1},
}  # fmt: skip


def at(tree: Tree, dotted: str) -> Any:
    here: Any = tree
    for key in dotted.split("."):
        here = here[int(key)] if isinstance(here, list) else here[key]
    return here


def put(place: str, value: Any) -> Edit:
    parent, _, key = place.rpartition(".")

    def edit(tree: Tree) -> None:
        holder = at(tree, parent)
        holder[int(key) if isinstance(holder, list) else key] = value

    return edit


def edited(edit: Edit) -> Tree:
    tree = copy.deepcopy(TREE)
    edit(tree)
    return tree


def places(value: Any, place: str = "") -> list[str]:
    if isinstance(value, dict):
        below = [inner for key, item in value.items() for inner in places(item, f"{place}.{key}")]
    elif isinstance(value, list):
        below = [inner for number, item in enumerate(value) for inner in places(item, f"{place}.{number}")]
    else:
        below = []
    return below + ([place.removeprefix(".")] if place else [])


PLACES = sorted(set(places(TREE)) - {"model_list.1.litellm_params.order"})
"""Without the last `order` of a group, which says nothing: see below."""


@pytest.mark.parametrize("place", PLACES)
def test_whatever_is_lost_is_found(place: str) -> None:
    parent, _, key = place.rpartition(".")

    def lose(tree: Tree) -> None:
        holder: Any = at(tree, parent) if parent else tree
        del holder[int(key) if isinstance(holder, list) else key]

    found = compare(TREE, edited(lose)), compare(edited(lose), TREE)
    assert all(found)


@pytest.mark.parametrize("place", [place for place in PLACES if not isinstance(at(TREE, place), dict | list)])
def test_whatever_is_another_value_is_found(place: str) -> None:
    assert compare(TREE, edited(put(place, {"another": "value"})))


DIFFERENT: dict[str, tuple[Edit, str]] = {
    "a truth value became a number": (put("litellm_settings.drop_params", 1), "litellm_settings.drop_params"),
    "a number became a text": (put("model_list.0.litellm_params.rpm", "five"), "litellm_params.rpm"),
    "another order of fallbacks": (put("router_settings.fallbacks", [{"g": ["x", "h"]}]), "fallbacks.0.g"),
    "another order of the deployments": (put("model_list.0.litellm_params.order", 3), "order"),
    "one more deployment": (lambda tree: tree["model_list"].append(tree["model_list"][1]), "model_list.g"),
    "the same deployment in another group": (put("model_list.1.model_name", "h"), "model_list.g"),
    "a key instead of none": (put("model_list.2.litellm_params.api_key", "os.environ/A"), "api_key"),
    "an alias that is shown": (put("router_settings.model_group_alias.y", "h"), "model_group_alias.y"),
    "one more section": (put("own_section.b", {"a": 1}), "own_section.b"),
}  # fmt: skip


@pytest.mark.parametrize("case", DIFFERENT)
def test_a_difference_is_found_where_it_is(case: str) -> None:
    edit, where = DIFFERENT[case]
    for found in (compare(TREE, edited(edit)), compare(edited(edit), TREE)):
        assert found, case
        assert any(where in one.where for one in found)


def _both(*edits: Edit) -> Edit:
    return lambda tree: [edit(tree) for edit in edits]


SAME: dict[str, Edit] = {
    "nothing": lambda _: None,
    "another order of entries": lambda tree: tree["model_list"].reverse(),
    "other numbers of the same order": _both(
        put("model_list.0.litellm_params.order", 10), put("model_list.1.litellm_params.order", "20")
    ),
    "no order as the last of a group": lambda tree: tree["model_list"][1]["litellm_params"].pop("order"),
    "an order in model_info": _both(
        lambda tree: tree["model_list"][1]["litellm_params"].pop("order"), put("model_list.1.model_info.order", 2)
    ),
    "another word for no key": put("model_list.2.litellm_params.api_key", "EMPTY"),
    "a null": _both(put("model_list.0.litellm_params.timeout", None), put("router_settings.timeout", None)),
    "a default": put("model_list.0.litellm_params.use_in_pass_through", value=False),
    "a number with a point": put("model_list.0.litellm_params.rpm", 5.0),
    "an empty section": lambda tree: tree.update({"general_settings": None, "guardrails": [], "callback_settings": {}}),
    "a price in both places": put("model_list.0.model_info.output_cost_per_token", 0.5),
    "an alias with its form written out": put("router_settings.model_group_alias.x", {"model": "g", "hidden": False}),
    "a variable as text": put("environment_variables.N", "4"),
    "a variable of the same name": put("environment_variables.B", "os.environ/B"),
}  # fmt: skip


@pytest.mark.parametrize("case", SAME)
def test_other_words_for_the_same_are_no_difference(case: str) -> None:
    assert compare(TREE, edited(SAME[case])) == []
    assert compare(edited(SAME[case]), TREE) == []


def test_digits_that_make_no_number_stay_a_text() -> None:
    raised = edited(put("model_list.0.litellm_params.max_retries", "²"))
    assert [one.other for one in compare(TREE, raised)] == ["²"]


def test_a_rank_is_none_where_all_deployments_are_alike() -> None:
    alike = edited(put("model_list.0.litellm_params.order", 2))
    without = edited(lambda tree: [entry["litellm_params"].pop("order", None) for entry in tree["model_list"]])
    assert compare(alike, without) == []


def test_the_catalogue_may_add_facts_and_change_none() -> None:
    more = edited(
        _both(put("model_list.1.model_info.mode", "chat"), put("model_list.1.model_info.max_input_tokens", 5))
    )
    assert compare(TREE, more, facts=True) == []
    assert compare(TREE, more)
    assert compare(more, TREE, facts=True)
    assert compare(TREE, edited(put("model_list.1.model_info.tier", "paid")), facts=True)
    assert compare(TREE, edited(put("model_list.0.model_info.mode", "completion")), facts=True)
