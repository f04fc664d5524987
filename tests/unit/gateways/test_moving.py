"""From one kind of gateway to another: what the other cannot say is listed, and nothing that is dropped is not.

The judge knows no table of keys. It takes one key after the other out of a configuration, imports the rest, and renders
it for the other kind: if that changes neither the configuration nor the list of what it leaves out, the key was dropped
without a word.
"""

from __future__ import annotations

import copy
import itertools
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from model_registry.entities.change import Operation
from model_registry.entities.gateway import Gateway
from model_registry.errors import InvalidConfiguration
from model_registry.gateways.kind import Rendered
from model_registry.gateways.left_out import beyond_its_kind, beyond_its_kind_in_words
from model_registry.gateways.litellm.rendering import settings
from model_registry.gateways.litellm.rendering.render import LiteLLMRenderer
from model_registry.gateways.scope import scoped
from model_registry.gateways.tensorzero.importing.plan import plan_import
from model_registry.gateways.tensorzero.kind import TensorZeroRenderer
from model_registry.gateways.tensorzero.project import Project
from model_registry.gateways.tensorzero.reading.project_files import read_project
from model_registry.snapshot.snapshot import Snapshot
from support import paths
from support.catalogues import Catalogue
from support.litellm_configs import files_of
from support.litellm_imports import Registry

EDGE = Gateway(id="edge", name="edge", kind="litellm", content_of="tensorzero")
Key = tuple[str, ...]
Tree = dict[str, Any]

METRIC = {"metrics": {"solved": {"type": "boolean", "optimize": "max", "level": "episode"}}}
FIXTURES = paths.FIXTURES / "tensorzero"
PROJECTS = sorted(FIXTURES.iterdir())


def imported(project: Project) -> list[Operation]:
    numbers = itertools.count()
    return list(plan_import(project, Snapshot.empty(), lambda: f"id-{next(numbers)}").operations)


def moved(rows: list[Operation]) -> Rendered:
    """What LiteLLM gets of a project."""
    return LiteLLMRenderer().render(Snapshot.empty().preview(rows), EDGE)


def keys(tree: Any, path: Any = ()) -> Iterator[Any]:
    """Every key of a tree, outer ones first; the number of an item of a list is no key, but part of a path."""
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield (*path, key)
            yield from keys(value, (*path, key))
    elif isinstance(tree, list):
        for number, item in enumerate(tree):
            yield from keys(item, (*path, number))


def without(tree: dict[str, Any], path: Key) -> dict[str, Any]:
    rest = copy.deepcopy(tree)
    here = rest
    for key in path[:-1]:
        here = here[key]
    del here[path[-1]]
    return rest


def is_listed(path: Key, rendered: Rendered) -> bool:
    """Whether the key, or what it is part of, is listed with its place."""
    listed = {o.name for o in rendered.omitted}
    match path:
        case ("functions", function, "variants", variant, *rest):
            places = [function, *_parents(f"{function}.{variant}", rest)]
        case ("models" | "embedding_models", model, "providers", _, *rest):
            places = _parents(model, rest)
        case ("functions" | "models" | "embedding_models", name, *rest):
            places = _parents(name, rest)
        case (section, *rest):
            places = _parents(section, rest)
    return not listed.isdisjoint(places)


def _parents(name: str, keys: list[str]) -> list[str]:
    return [".".join([name, *map(str, keys[:count])]) for count in range(len(keys) + 1)]


def at(tree: Any, path: Key) -> Any:
    for key in path:
        tree = tree[key]
    return tree


def same_there(project: Project, path: Key) -> bool:
    """Whether LiteLLM does without the key what TensorZero does with it: the cloud's own way to find a region."""
    return path[-1] == "region" and at(project.tree, path) == "sdk"


def shape_of(project: Project, path: Key) -> Key:
    """One key of each kind of table is enough: `models.*.providers.openai.api_base`."""
    names = {"models", "embedding_models", "functions", "providers", "variants"}
    kinds = []
    for depth, key in enumerate(path):
        table = at(project.tree, path[: depth + 1])
        named = depth > 0 and path[depth - 1] in names
        kinds.append(str(table.get("type", "*")) if named and isinstance(table, dict) else key)
    return tuple(kinds)


def dropped_silently(project: Project) -> list[Key]:
    rows = imported(project)
    whole = moved(rows)
    configuration = yaml.safe_load(whole.files["config.yaml"])
    found = []
    looked_at = set()
    for path in keys(project.tree):
        if is_listed(path, whole) or same_there(project, path) or (shape := shape_of(project, path)) in looked_at:
            continue
        looked_at.add(shape)
        try:
            others = imported(replace(project, tree=without(project.tree, path)))
        except (InvalidConfiguration, KeyError):
            continue  # the project needs the key
        if others == rows:
            continue  # it says what is so without it
        rest = moved(others)
        if rest.omitted == whole.omitted and yaml.safe_load(rest.files["config.yaml"]) == configuration:
            found.append(path)
    return found


@pytest.mark.parametrize("directory", PROJECTS, ids=lambda path: path.name)
def test_nothing_of_a_tensorzero_project_is_dropped_without_a_word(directory: Path) -> None:
    assert dropped_silently(read_project([str(directory)])) == []


@pytest.mark.parametrize("directory", PROJECTS, ids=lambda path: path.name)
def test_everything_that_litellm_cannot_have_says_what_to_do_instead(directory: Path) -> None:
    omitted = moved(imported(read_project([str(directory)]))).omitted
    assert [o.name for o in omitted if not o.instead and o.kind in {"section", "setting", "file"}] == []


def test_the_judge_notices_a_key_that_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "section_left_out", lambda _: ())
    project = read_project([str(FIXTURES / "best_of_n")])
    assert {path[0] for path in dropped_silently(replace(project, tree=project.tree | METRIC))} == {"metrics"}


def test_a_function_says_at_once_all_that_keeps_it_from_litellm_and_what_to_do_instead() -> None:
    catalogue = Catalogue()
    m = catalogue.model(catalogue.provider(), "m")
    catalogue.function(type="json", tensorzero={"tools": ["t"], "system_schema": "s.json"})
    catalogue.mapping(m)
    (omission,) = LiteLLMRenderer().render(catalogue.snapshot(), EDGE).omitted
    assert (omission.kind, omission.name) == ("function", "svc_chat")
    assert [part.partition(":")[0] for part in omission.reason.split("; ")] == [
        "LiteLLM has no functions of type json",
        "LiteLLM has no templates and no schemas of inputs, and it has system_schema",
        "LiteLLM offers a model no tools of its own, and it has tools",
    ]
    assert omission.instead.split("; ") == [
        "send the schema with each request, in response_format",
        "check the arguments in the calling program",
        "send the tools with each request",
    ]


def test_smg_cannot_have_hosted_models_functions_aliases_and_sections() -> None:
    catalogue = Catalogue()
    m = catalogue.model(catalogue.provider("hosted", "azure"), "m")
    catalogue.model(catalogue.provider("ours", "vllm"), "n")
    catalogue.function()
    catalogue.mapping(m)
    section = Operation("config_sections", "insert", "s", {"name": "metrics", "value": {"solved": {}}})
    snapshot = catalogue.snapshot().preview([section])
    gateway = EDGE.model_copy(update={"kind": "smg"})
    assert [(o.kind, o.name) for o in beyond_its_kind(snapshot, gateway)] == [
        ("provider", "hosted"),
        ("function", "svc_chat"),
        ("section", "metrics"),
    ]
    assert beyond_its_kind_in_words(snapshot, gateway) == (
        "kind: a gateway of the kind smg cannot have all that it carries: left out are 1 function, 1 provider, "
        "1 section. Each with its place, and what to do instead: GET /api/gateways/edge/omitted"
    )
    assert beyond_its_kind_in_words(Snapshot.empty(), gateway) is None


def test_several_of_a_kind_are_counted_in_plain_words() -> None:
    catalogue = Catalogue()
    model = catalogue.model(catalogue.provider("ours", "vllm"), "n")
    for name in ("one", "two"):
        catalogue.alias(model, name)

    words = beyond_its_kind_in_words(catalogue.snapshot(), EDGE.model_copy(update={"kind": "smg"}))

    assert words is not None
    assert "left out are 2 aliases." in words


TENSORZERO = Gateway(id="tz", name="tz", kind="tensorzero", content_of="?")


def moved_back(tree: Tree, name: str) -> tuple[list[Operation], Rendered]:
    """The rows of a LiteLLM configuration, and what a TensorZero gateway gets of it."""
    registry = Registry.empty()
    plan = registry.take({name: yaml.safe_dump(tree)}, skip_literal_keys=True)
    gateway = TENSORZERO.model_copy(update={"content_of": registry.gateway().name})
    return list(plan.operations), TensorZeroRenderer().render(scoped(registry.snapshot, gateway), gateway)


def is_listed_back(tree: Tree, path: Any, rendered: Rendered) -> bool:
    """Whether the key, or what it is part of, is listed with its place."""
    listed = {o.name for o in rendered.omitted}
    match path:
        case ("model_list", _, "model_info", key, *_) if key in {"id", "mode"} or "cost" in key:
            return True  # a name for LiteLLM alone, and what the catalogue knows of a model
        case ("model_list", _, "model_info"):
            return True  # its keys are looked at one by one
        case ("model_list", number, *rest):
            whole = f"model_list.{tree['model_list'][number]['model_name']}"
            return whole in listed or any(name.endswith(f".{key}") for key in rest for name in listed)
        case (section, key, *_):
            return f"{section}.{key}" in listed
    return path[0] in listed


@pytest.mark.parametrize("name", ["azure_regions.yaml", "home_lab.yaml", "reliability.yaml", "wildcards.yaml"])
def test_nothing_of_a_litellm_configuration_is_dropped_without_a_word(name: str) -> None:
    tree = yaml.safe_load(files_of(name)[name])
    rows, whole = moved_back(tree, name)
    found, looked_at = [], set()
    for path in keys(tree):
        shape = tuple(part for part in path if not isinstance(part, int))  # of each kind of key one is enough
        if shape in looked_at or is_listed_back(tree, path, whole):
            continue
        looked_at.add(shape)
        try:
            others, rest = moved_back(without(tree, path), name)
        except (InvalidConfiguration, KeyError):
            continue  # the configuration needs the key
        if others != rows and rest == whole:
            found.append(path)
    assert found == []


def test_sections_and_files_of_litellm_are_no_part_of_a_project() -> None:
    _, rendered = moved_back(yaml.safe_load(files_of("reliability.yaml")["reliability.yaml"]), "reliability.yaml")
    project = tomllib.loads(rendered.files["tensorzero.toml"].decode())
    assert project.keys() <= {"models", "embedding_models"}
    listed = {o.name: o.instead for o in rendered.omitted}
    assert "variants" in listed["router_settings.fallbacks"]
