"""What the rules refuse in a LiteLLM configuration, and what they warn about: LiteLLM accepts and ignores it."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from model_registry.gateways.litellm.validation.parts import Parts, Reader, Unreadable
from model_registry.gateways.litellm.validation.rules import check
from support.secret_examples import SHAPED

M = {"model_name": "m", "litellm_params": {"model": "openai/m"}}


def entry(name: str = "m", info: dict[str, Any] | None = None, **params: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"model_name": name, "litellm_params": {"model": "openai/x", **params}}
    return found | ({"model_info": info} if info else {})


def parts(**tree: Any) -> Parts:
    return Reader().read(yaml.safe_dump(tree, sort_keys=False))


def faults(**tree: Any) -> list[str]:
    return [str(reason) for reason in check(parts(**tree)).faults]


def warnings(**tree: Any) -> list[str]:
    checked = check(parts(**tree))
    assert not checked.faults
    return [str(reason) for reason in checked.warnings]


@pytest.mark.parametrize(
    ("tree", "says"),
    [
        ({"model_list": ["m"]}, "model_list.0: must be a mapping with model_name and litellm_params"),
        ({"model_list": [{"litellm_params": {"model": "x"}}]}, "has no model_name: LiteLLM ends its start on it"),
        ({"model_list": [{"model_name": "m"}]}, "model_list.m: has no litellm_params.model"),
        ({"model_list": [M], "router_settings": [1]}, "router_settings: must be a mapping"),
        ({"router_settings": {"health_check_interval": 3}}, "it belongs to general_settings"),
        ({"router_settings": {"fallbacks": ["m"]}}, "router_settings.fallbacks: must be a list of mappings"),
        ({"litellm_settings": {"fallbacks": [{"a": [], "b": []}]}}, "litellm_settings.fallbacks: must be a list"),
        (
            {"model_list": [entry("a", {"id": 1}), entry("b", {"id": "1"})]},
            "the id 1 is that of 2 entries: LiteLLM loses all but one of them",
        ),
    ],
)
def test_what_ends_the_start_or_loses_a_deployment_is_a_fault(tree: dict[str, Any], says: str) -> None:
    found = faults(**tree)
    assert len(found) == 1
    assert says in found[0]


@pytest.mark.parametrize(
    ("tree", "says"),
    [
        ({"modelist": []}, "modelist: LiteLLM ignores this section"),
        ({"model_list": [entry(order=1), entry()]}, "1 of 2 entries have order: LiteLLM takes the lowest"),
        ({"model_list": [entry(weight=1), entry()]}, "1 of 2 entries have weight: LiteLLM takes 0"),
        ({"model_list": [entry(rpm=1), entry()]}, "1 of 2 entries have rpm: LiteLLM takes it for a weight"),
        (
            {"model_list": [M], "router_settings": {"model_group_alias": {"a": "gone"}}},
            "router_settings.model_group_alias.a: leads to gone, and no model has this name",
        ),
        (
            {"model_list": [M], "router_settings": {"model_group_alias": {"a": ["m"]}}},
            "router_settings.model_group_alias.a: leads to ['m'], and no model has this name",
        ),
        ({"model_list": [entry(order=[1]), entry()]}, "1 of 2 entries have order: LiteLLM takes the lowest"),
        (
            {"model_list": [M], "router_settings": {"fallbacks": [{"m": ["gone"]}]}},
            "router_settings.fallbacks: names gone, and no model has this name",
        ),
        (
            {"model_list": [M], "litellm_settings": {"context_window_fallbacks": [{"gone": ["m"]}]}},
            "litellm_settings.context_window_fallbacks: names gone",
        ),
        (
            {"model_list": [M], "litellm_settings": {"default_fallbacks": ["gone"]}},
            "litellm_settings.default_fallbacks: names gone",
        ),
    ],
)
def test_what_litellm_accepts_and_ignores_is_a_warning(tree: dict[str, Any], says: str) -> None:
    found = warnings(**tree)
    assert len(found) == 1
    assert says in found[0]


def test_nothing_is_wrong_with_what_people_write() -> None:
    router = {
        "model_group_alias": {"a": {"model": "m", "hidden": True}},
        "fallbacks": [{"m": ["a", "openai/gpt-x"]}, {"*": ["m"]}],
        "default_fallbacks": ["m"],
    }
    listed = [
        entry(order=1, weight=1),
        entry(order=1, weight=3),
        entry(order=2),
        entry("openai/*", api_key="os.environ/K"),
    ]
    assert warnings(model_list=listed, router_settings=router, general_settings={"master_key": "os.environ/K"}) == []


def test_a_key_in_an_entry_is_refused_and_not_repeated() -> None:
    secret = next(iter(SHAPED.values()))
    found = faults(model_list=[entry(api_key=secret)])
    advice = "write os.environ/NAME, and set that variable where LiteLLM runs"
    assert found == [f"model_list.m.litellm_params.api_key: is a key itself: {advice}"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("model_list: [", "is not valid YAML: line 2: did not find expected node content"),
        ("[]", "must be a mapping of sections"),
        ("model_list: {a: 1}", "model_list must be a list"),
        ("a: !!python/object:os.system {}", "is not valid YAML"),
        ("a: !!int abc", "holds a value that is no number, date or truth value, as its tag or its form says"),
        ("a: !!bool maybe", "holds a value that is no number, date or truth value"),
        ("a: !!timestamp soon", "holds a value that is no number, date or truth value"),
        ("a: 2024-13-45", "holds a value that is no number, date or truth value"),
        (f"a: {'59:' * 200}59.5", "holds a value that is no number, date or truth value"),
    ],
)
def test_what_is_no_configuration_is_unreadable(text: str, says: str) -> None:
    with pytest.raises(Unreadable, match=says.replace("[", r"\[")):
        Reader().read(text)


def test_a_list_is_read_in_parts_and_as_a_whole_alike() -> None:
    listed = "- model_name: a\n  x: |-\n    - b\n\n    c\n- model_name: é\n"
    text = f"# c\nmodel_list:\n{listed}\nrouter_settings:\n  a:\n  - 1\n"
    reader = Reader()
    read = reader.read(text)
    assert [part.entry for part in read.entries] == yaml.safe_load(text)["model_list"]
    assert read.tree == {"router_settings": {"a": [1]}}
    again = reader.read(text.replace("model_name: a", "model_name: b"))
    assert again.entries[1] is read.entries[1]
    assert again.entries[0].entry["model_name"] == "b"
