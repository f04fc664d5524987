"""The comparison of configurations: which differences it must find, and which forms it must treat as equal."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from model_registry.gateways.tensorzero.compare import compare

Tree = dict[str, Any]
Edit = Callable[[Tree, dict[str, str]], None]

FILES = {
    "f/system.minijinja": "You are {{ name }}.\n",
    "f/schema.json": '{"type": "object"}',
    "tools/look.json": '{"type": "object", "properties": {}}',
    "shared/greeting.txt": "Hello",
}
TREE: Tree = {
    "gateway": {"debug": True, "template_filesystem_access": {"base_path": "shared"}},
    "models": {
        "m": {
            "routing": ["a", "b"],
            "providers": {
                "a": {"type": "openai", "model_name": "x", "api_key_location": "env::OPENAI_API_KEY"},
                "b": {"type": "vllm", "model_name": "x", "api_base": "http://h:1/v1", "api_key_location": "none"},
            },
        }
    },
    "embedding_models": {
        "e": {"routing": ["a"], "providers": {"a": {"type": "openai", "model_name": "x"}}, "timeout_ms": 5}
    },
    "functions": {
        "f": {
            "type": "json",
            "output_schema": "f/schema.json",
            "variants": {
                "v": {
                    "type": "chat_completion",
                    "model": "m",
                    "json_mode": "on",
                    "temperature": 0.5,
                    "max_tokens": 5,
                    "system_template": "f/system.minijinja",
                    "extra_body": [{"pointer": "/a", "value": 1}, {"pointer": "/b", "value": [1.0, True, "1"]}],
                },
                "w": {"type": "chat_completion", "model": "m", "json_mode": "on"},
                "x": {"type": "chat_completion", "model": "m", "json_mode": "on"},
            },
            "experimentation": {
                "type": "static",
                "candidate_variants": {"v": 1.0},
                "fallback_variants": ["w", "x"],
            },
        }
    },
    "tools": {"look": {"description": "d", "parameters": "tools/look.json"}},
    "metrics": {"good": {"type": "boolean", "optimize": "max", "level": "inference"}},
}


def at(tree: Tree, dotted: str) -> Any:
    here: Any = tree
    for key in dotted.split("."):
        here = here[int(key)] if isinstance(here, list) else here[key]
    return here


def put(place: str, value: Any) -> Edit:
    parent, _, key = place.rpartition(".")
    return lambda tree, _: at(tree, parent).__setitem__(key, value)


def lose(place: str) -> Edit:
    parent, _, key = place.rpartition(".")
    return lambda tree, _: at(tree, parent).pop(key) and None


def write(path: str, content: str) -> Edit:
    return lambda _, files: files.__setitem__(path, content)


def edited(edit: Edit) -> tuple[Tree, dict[str, str]]:
    tree, files = copy.deepcopy(TREE), dict(FILES)
    edit(tree, files)
    return tree, files


def leaves(value: Any, place: str = "") -> list[str]:
    if isinstance(value, dict):
        below = [leaf for key, item in value.items() for leaf in leaves(item, f"{place}.{key}")]
        return below + ([place] if place.count(".") > 1 else [])
    return [place]


DIFFERENT: dict[str, tuple[Edit, str]] = {
    "an integer became a float": (put("functions.f.variants.v.max_tokens", 5.0), "functions.f.variants.v.max_tokens"),
    "a float became an integer": (put("functions.f.variants.v.extra_body.1.value", [1, True, "1"]), "value.0"),
    "a truth value became a number": (put("gateway.debug", 1), "gateway.debug"),
    "a number became a string": (put("embedding_models.e.timeout_ms", "5"), "timeout_ms"),
    "another routing order": (put("models.m.routing", ["b", "a"]), "models.m.routing.0"),
    "a provider lost from the routing": (put("models.m.routing", ["a"]), "models.m.routing"),
    "another order of a list": (
        lambda tree, _: tree["functions"]["f"]["variants"]["v"]["extra_body"].reverse(),
        "extra_body.0",
    ),
    "another weight": (put("functions.f.experimentation.candidate_variants", {"v": 2.0}), "candidates.v"),
    "another order of fallbacks": (put("functions.f.experimentation.fallback_variants", ["x", "w"]), "fallbacks.0"),
    "another template": (write("f/system.minijinja", "You are {{ name }}."), "system_template.content"),
    "other line ends": (write("f/system.minijinja", "You are {{ name }}.\r\n"), "system_template.content"),
    "another schema": (write("f/schema.json", '{"type": "array"}'), "output_schema.content"),
    "other parameters of a tool": (write("tools/look.json", "{}"), "tools.look.parameters.content"),
    "another file to include": (write("shared/greeting.txt", "Hi"), "base_path"),
    "one more file to include": (write("shared/more/bye.txt", "Bye"), "base_path"),
    "a file that is gone": (lambda _, files: files.__delitem__("f/schema.json"), "output_schema.content"),
    "another base URL": (put("models.m.providers.b.api_base", "http://h:2/v1"), "api_base"),
    "another key": (put("models.m.providers.a.api_key_location", "env::OTHER"), "api_key_location"),
    "one more section": (put("tools.more", {}), "tools.more"),
}


@pytest.mark.parametrize("case", DIFFERENT)
def test_a_difference_is_found_where_it_is(case: str) -> None:
    edit, where = DIFFERENT[case]
    tree, files = edited(edit)
    for found in (compare(TREE, FILES, tree, files), compare(tree, files, TREE, FILES)):
        assert found, case
        assert where in found[0].where


PLACES = {leaf.removeprefix(".") for leaf in leaves(TREE)}
UNSAID = {"models.m.providers.a.api_key_location"}
"""What the gateway does anyway; tested below."""


@pytest.mark.parametrize("place", sorted(PLACES - UNSAID))
def test_a_lost_key_is_found(place: str) -> None:
    tree, files = edited(lose(place))
    assert compare(TREE, FILES, tree, files)
    assert compare(tree, files, TREE, FILES)


def _rename(old: str, new: str) -> Edit:
    def edit(tree: Tree, files: dict[str, str]) -> None:
        files[new] = files.pop(old)
        tree["functions"]["f"]["output_schema"] = new

    return edit


def _weights(tree: Tree, _: dict[str, str]) -> None:
    del tree["functions"]["f"]["experimentation"]
    tree["functions"]["f"]["variants"]["v"]["weight"] = 1


SAME: dict[str, Edit] = {
    "nothing": lambda _, __: None,
    "a default that is written out": lambda tree, _: at(tree, "models.m.providers.a").pop("api_key_location") and None,
    "a slash at the end of a base URL": put("models.m.providers.b.api_base", "http://h:1/v1/"),
    "weights on variants": _weights,
    "the old word for static": put("functions.f.experimentation.type", "static_weights"),
    "a weight of 1 as an integer": put("functions.f.experimentation.candidate_variants", {"v": 1}),
    "a list of candidates": put("functions.f.experimentation.candidate_variants", ["v"]),
    "another name of a file": _rename("f/schema.json", "elsewhere/s.json"),
    "another order of keys": lambda tree, _: tree.update({"models": tree.pop("models")}),
    "a file that nothing refers to": write("README.md", "x"),
}


@pytest.mark.parametrize("case", SAME)
def test_what_the_gateway_takes_for_the_same_is_the_same(case: str) -> None:
    tree, files = edited(SAME[case])
    assert compare(TREE, FILES, tree, files) == []


def test_moving_the_directory_of_includes_changes_nothing() -> None:
    tree, files = edited(put("gateway.template_filesystem_access.base_path", "elsewhere"))
    files["elsewhere/greeting.txt"] = files.pop("shared/greeting.txt")
    assert compare(TREE, FILES, tree, files) == []


def test_without_experimentation_all_variants_are_alike() -> None:
    tree, files = edited(lose("functions.f.experimentation"))
    alike = put("functions.f.experimentation", {"type": "uniform"})
    assert compare(tree, files, *edited(alike)) == []
    assert compare(TREE, FILES, tree, files)


def test_candidates_get_the_timeout_of_who_asks_them() -> None:
    def ask(tree: Tree, keys: Tree) -> None:
        best = {"type": "experimental_best_of_n_sampling", "candidates": ["w"], "evaluator": {"model": "m"}}
        tree["functions"]["f"]["variants"]["best"] = best | keys

    old, files = edited(lambda tree, _: ask(tree, {"timeout_s": 1.5}))
    new, _ = edited(lambda tree, _: ask(tree, {}))
    new["functions"]["f"]["variants"]["w"]["timeouts"] = {
        "non_streaming": {"total_ms": 1500},
        "streaming": {"ttft_ms": 1500},
    }
    assert compare(old, files, new, files) == []
    new["functions"]["f"]["variants"]["w"]["timeouts"]["streaming"]["ttft_ms"] = 1501
    assert [found.where for found in compare(old, files, new, files)] == [
        "functions.f.variants.w.timeouts.streaming.ttft_ms"
    ]


def test_what_is_compared_stays_as_it_is() -> None:
    before = copy.deepcopy(TREE)
    compare(TREE, FILES, TREE, FILES)
    assert before == TREE
