"""LiteLLM configurations: found in what holds them, merged as LiteLLM merges them, every mistake with its line."""

from __future__ import annotations

from typing import Any

import pytest

from model_registry.errors import InvalidConfiguration
from model_registry.gateways.litellm.reading.parse import parse_config
from support import litellm_configs

ENTRY = "- model_name: m\n  litellm_params: {model: openai/m}\n"
PLAIN = f"model_list:\n{ENTRY}"


def indented(text: str, by: int = 4) -> str:
    return "".join(" " * by + line + "\n" for line in text.splitlines())


HOLDERS = {
    "the file itself": PLAIN,
    "JSON": '{"model_list": [\n{"model_name": "m", "litellm_params": {"model": "openai/m"}}]}',
    "Helm values": f"image: x\nproxy_config:\n{indented(PLAIN)}",
    "Helm values with a text": f"litellm:\n  configYaml: |\n{indented(PLAIN)}",
    "a ConfigMap": f"apiVersion: v1\nkind: ConfigMap\ndata:\n  config.yaml: |\n{indented(PLAIN)}",
    "one of several documents": f"apiVersion: v1\nkind: Secret\n---\napiVersion: v1\ndata:\n  x: |\n{indented(PLAIN)}",
    "an application with Helm values": "apiVersion: argoproj.io/v1alpha1\nspec:\n  source:\n    values: |\n"
    + indented(f"config: |\n{indented(PLAIN)}", 8),
    "a compose file": f"services: {{litellm: {{image: x}}}}\nconfigs:\n  c:\n    content: |\n{indented(PLAIN, 6)}",
}  # fmt: skip


@pytest.mark.parametrize("holder", HOLDERS)
def test_a_configuration_is_found_in_what_holds_it(holder: str) -> None:
    config = parse_config({"f.yaml": HOLDERS[holder]})
    (entry,) = config.entries
    assert (entry.model_name, entry.params) == ("m", {"model": "openai/m"})
    line = next(n for n, text in enumerate(HOLDERS[holder].splitlines(), 1) if "model_name" in text)
    assert config.place(entry.path) == f"f.yaml: line {line}: model_list.0"


def test_a_section_alone_is_a_configuration_of_a_file() -> None:
    assert parse_config({"f.yaml": "environment_variables: {A: b}\n"}).sections == {"environment_variables": {"A": "b"}}


REFUSED: dict[str, tuple[str, int, str]] = {
    "something else": ("a: 1\n", 1, "holds no LiteLLM configuration"),
    "nothing": ("", 1, "holds no LiteLLM configuration"),
    "two configurations": (f"a:\n{indented(PLAIN, 2)}b:\n{indented(PLAIN, 2)}", 6, "into a file of its own"),
    "a mistake in a ConfigMap": ("data:\n  c: |\n    model_list:\n    - a: b: c\n", 4, "not valid YAML"),
    "a model list that is no list": ("general_settings: {}\nmodel_list: {a: 1}\n", 2, "must be a list"),
    "an entry that is no mapping": (f"{PLAIN}- openai/m\n", 4, "must be a mapping"),
    "an entry without parameters": (f"{PLAIN}- model_name: m\n", 4, "must have litellm_params"),
    "an entry without a model": (f"{PLAIN}- model_name: m\n  litellm_params: {{a: x}}\n", 4, "litellm_params.model"),
    "a model that is no text": (f"{PLAIN}- model_name: m\n  litellm_params: {{model: 5}}\n", 4, "must have a text"),
    "settings that are no mapping": (f"{PLAIN}litellm_settings: [a]\n", 4, "must be a mapping"),
    "a list that is none": (f"{PLAIN}credential_list: {{a: b}}\n", 4, "must be a list"),
    "an include that is no list": (f"{PLAIN}include: more.yaml\n", 4, "must be a list of paths"),
    "an included file that is not there": (f"{PLAIN}include: [more.yaml]\n", 4, "not among the files"),
    "values nested too deeply": (f"{PLAIN}general_settings: {'{a: ' * 40}1{'}' * 40}\n", 4, "levels deep"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_a_mistake_is_named_with_its_line_and_what_to_do(case: str) -> None:
    text, line, words = REFUSED[case]
    with pytest.raises(InvalidConfiguration) as caught:
        parse_config({"f.yaml": text})
    (reason,) = caught.value.reasons
    assert reason.where == f"f.yaml: line {line}"
    assert words in reason.message


def test_all_mistakes_are_named_at_once() -> None:
    with pytest.raises(InvalidConfiguration) as caught:
        parse_config({"f.yaml": f"{PLAIN}- 5\n- 6\nlitellm_settings: []\nrouter_settings: 4\n"})
    assert len(caught.value.reasons) == 4


NOTED: dict[str, tuple[str, str, int, str]] = {
    "a key twice": (f"{PLAIN}general_settings: {{}}\ngeneral_settings: {{a: 1}}\n", "warning", 5, "also in line 4"),
    "a date": (PLAIN.replace("m}", "m, api_version: 2024-02-01}"), "normalised", 3, "2024-02-01"),
    "an unknown section": (f"{PLAIN}server_settings: {{}}\n", "warning", 4, "ignores the top-level key"),
    "a section in the wrong place": (f"{PLAIN}fallbacks: []\n", "warning", 4, "router_settings"),
    "a name that is no text": (f"{PLAIN}- model_name: 4\n  litellm_params: {{model: x}}\n", "skipped", 4, "put quotes"),
    "an entry without a name": (f"{PLAIN}- litellm_params: {{model: x}}\n", "skipped", 4, "model_name"),
}  # fmt: skip


@pytest.mark.parametrize("case", NOTED)
def test_what_litellm_ignores_is_named(case: str) -> None:
    text, action, line, words = NOTED[case]
    config = parse_config({"f.yaml": text})
    assert [entry.model_name for entry in config.entries] == ["m"]
    (note,) = config.notes
    assert (note.action, note.where) == (action, f"f.yaml: line {line}")
    assert words in note.message


def test_the_configuration_is_the_file_that_no_other_includes() -> None:
    files = {"b/more.yaml": PLAIN, "b/config.yaml": "include: [more.yaml]\nlitellm_settings: {a: 1}\n"}
    config = parse_config(files)
    assert [config.place(entry.path) for entry in config.entries] == ["b/more.yaml: line 2: model_list.0"]
    assert config.sections == {"litellm_settings": {"a": 1}}
    assert parse_config(files, "b/more.yaml").sections == {}
    with pytest.raises(InvalidConfiguration, match="as well as"):
        parse_config({"a.yaml": PLAIN, "b.yaml": PLAIN})
    with pytest.raises(InvalidConfiguration, match="not among the files"):
        parse_config(files, "config.yaml")


OWN = {"model_name": "m", "litellm_params": {"model": "openai/m"}}

MERGED: dict[str, tuple[dict[str, str], dict[str, Any]]] = {
    "lists are joined, the rest is replaced": (
        {
            "config.yaml": f"include: [a.yaml, b.yaml]\nlitellm_settings: {{x: 1, y: 2}}\n{PLAIN}",
            "a.yaml": f"litellm_settings: {{x: 3}}\n{PLAIN}guardrails: [1]\n",
            "b.yaml": "guardrails: [2]\nrouter_settings: {z: 1}\n",
        },
        {
            "litellm_settings": {"x": 3},
            "model_list": [OWN, OWN],
            "guardrails": [1, 2],
            "router_settings": {"z": 1},
        },
    ),
    "an included file includes one next to it": (
        {
            "config.yaml": f"include: [sub/a.yaml]\n{PLAIN}",
            "sub/a.yaml": f"include: [b.yaml]\n{PLAIN}",
            "sub/b.yaml": "router_settings: {z: 1}\n",
            "b.yaml": "router_settings: {z: 2}\n",
        },
        {"model_list": [OWN, OWN], "router_settings": {"z": 1}},
    ),
    "an included file includes one next to the first": (
        {
            "config.yaml": "include: [sub/a.yaml]\n",
            "sub/a.yaml": f"include: [b.yaml]\n{PLAIN}",
            "b.yaml": "router_settings: {z: 2}\n",
        },
        {"model_list": [OWN], "router_settings": {"z": 2}},
    ),
    "what the first includes comes before what they include": (
        {
            "config.yaml": "include: [a.yaml, b.yaml]\n",
            "a.yaml": "include: [c.yaml]\nguardrails: [a]\n",
            "b.yaml": "guardrails: [b]\n",
            "c.yaml": "guardrails: [c]\n",
        },
        {"guardrails": ["a", "b", "c"]},
    ),
    "files that include each other count once": (
        {"config.yaml": f"include: [a.yaml, a.yaml]\n{PLAIN}", "a.yaml": f"include: [config.yaml]\n{PLAIN}"},
        {"model_list": [OWN, OWN]},
    ),
}


@pytest.mark.parametrize("case", MERGED)
def test_files_are_merged_as_litellm_merges_them(case: str) -> None:
    files, expected = MERGED[case]
    assert parse_config(files, "config.yaml").tree == expected


@pytest.mark.parametrize("name", litellm_configs.NAMES)
def test_every_fixture_is_a_configuration(name: str) -> None:
    config = parse_config(litellm_configs.files_of(name))
    assert config.entries
    for entry in config.entries:
        assert name in config.place(entry.path) or "included/" in config.place(entry.path)
