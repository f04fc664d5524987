"""Import, then render: nothing is lost, and a second import has nothing to do. Over fixtures and generated projects."""

from __future__ import annotations

import functools
import itertools
import uuid
from collections.abc import Callable
from typing import Any

import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from model_registry.entities.provider_types import GATEWAY_TYPES
from model_registry.gateways.tensorzero.importing.plan import plan_import
from model_registry.gateways.tensorzero.project import Project
from model_registry.gateways.tensorzero.reading.parse import parse_project
from model_registry.gateways.tensorzero.reading.project_files import read_project
from model_registry.gateways.tensorzero.rendering.render import configuration_tree
from model_registry.imports.plan import ImportPlan
from model_registry.snapshot.difference import same
from model_registry.snapshot.snapshot import Snapshot
from support import paths
from support.profiles import large_examples

FIXTURES = paths.FIXTURES / "tensorzero"
PROJECTS = sorted(path.name for path in FIXTURES.iterdir())

Tree = dict[str, Any]


HOMES = {"openai": "https://api.openai.com/v1", "anthropic": "https://api.anthropic.com/v1"}
"""Where the gateway sends requests without an api_base, by the type."""


def meaning(tree: Tree) -> Tree:
    """Models with the gateway's defaults filled in, functions with one way of sharing their calls."""
    defaults = {name: table.get("defaults", {}) for name, table in tree.get("provider_types", {}).items()}
    sections = {name: table for name, table in tree.items() if name not in {"models", "embedding_models", "functions"}}
    for section in ("models", "embedding_models"):
        sections[section] = {name: _model(table, defaults) for name, table in tree.get(section, {}).items()}
    sections["functions"] = {name: _function(table) for name, table in tree.get("functions", {}).items()}
    return sections


def _model(table: Tree, defaults: Tree) -> Tree:
    return table | {"providers": {key: _provider(p, defaults) for key, p in table["providers"].items()}}


def _provider(table: Tree, defaults: Tree) -> Tree:
    kind = GATEWAY_TYPES[table["type"]]
    told: Tree = dict(table)
    if kind.name in HOMES:
        told.setdefault("api_base", HOMES[kind.name])
    if kind.base_key and isinstance(told.get(kind.base_key), str):
        told[kind.base_key] = told[kind.base_key].rstrip("/")
    if kind.credential and kind.credential.key == "api_key_location":
        told.setdefault("api_key_location", f"env::{kind.credential.variable}")
        if "api_key_location" not in table and "api_key_location" in defaults.get(kind.name, {}):
            told["api_key_location"] = defaults[kind.name]["api_key_location"]
    return told


def _function(table: Tree) -> Tree:
    variants = {key: {k: v for k, v in table.items() if k != "weight"} for key, table in table["variants"].items()}
    return table | {"variants": variants, "experimentation": _experimentation(table)}


def _experimentation(table: Tree) -> Any:
    """Candidates with weights and fallbacks in order, as the gateway derives them from any syntax."""
    variants: Tree = table["variants"]
    said = table.get("experimentation")
    weights = {name: variant["weight"] for name, variant in variants.items() if "weight" in variant}
    if said is None and any(weights.values()):
        fallbacks = [name for name in variants if name not in weights]
        said = {"candidate_variants": {n: w for n, w in weights.items() if w > 0}, "fallback_variants": fallbacks}
    elif said is None and weights and len(weights) < len(variants):
        said = {"candidate_variants": [], "fallback_variants": [name for name in variants if name not in weights]}
    elif said is None or (said["type"] == "uniform" and len(said) == 1):
        said = {"candidate_variants": list(variants)}
    elif said["type"] in {"adaptive", "track_and_stop"} or "namespaces" in said:
        return said
    candidates = said.get("candidate_variants", [])
    shares = dict.fromkeys(candidates, 1.0) if isinstance(candidates, list) else candidates
    fallbacks = said.get("fallback_variants", [])
    if not fallbacks and len(set(shares.values())) == 1 and all(shares.values()):
        shares = dict.fromkeys(shares, 1.0)
    return {name: float(weight) for name, weight in shares.items()}, fallbacks


def new_id() -> str:
    return str(uuid.uuid4())


def planned(project: Project, snapshot: Snapshot) -> ImportPlan:
    return plan_import(project, snapshot, new_id)


def imported(project: Project, before: Snapshot | None = None) -> Snapshot:
    """The registry after an import, which breaks none of the database's rules at any of its steps."""
    snapshot = before or Snapshot.empty()
    for operation in planned(project, snapshot).operations:
        snapshot = snapshot.preview([operation])
        for table, key in UNIQUE.items():
            keys = [key(row) for row in snapshot.tables[table]]
            assert len(set(keys)) == len(keys), f"{operation} breaks {table}"
        for model in snapshot.models:
            assert snapshot.providers.get(model.provider_id)
        for mapping in snapshot.mappings:
            assert snapshot.models.get(mapping.model_id)
    return snapshot


@functools.cache
def fixture(name: str) -> Project:
    """One of the projects on disk, read once: nothing writes to it."""
    return read_project([FIXTURES / name])


@functools.cache
def imported_fixture(name: str) -> Snapshot:
    """The registry that holds one of the projects on disk."""
    return imported(fixture(name))


UNIQUE: dict[str, Callable[[Any], Any]] = {
    "model_providers": lambda row: row.name,
    "models": lambda row: (row.provider_id, row.name),
    "functions": lambda row: row.name,
    "service_model_mappings": lambda row: (row.service_name, row.function_name, row.variant_name),
    "config_sections": lambda row: row.name,
}


def assert_same_meaning(one: dict[str, Any], other: dict[str, Any]) -> None:
    one, other = meaning(one), meaning(other)
    for section in ("models", "embedding_models", "functions"):
        assert one[section].keys() == other[section].keys()
        for name in one[section]:
            assert one[section][name] == other[section][name], f"{section}.{name}"
    assert one == other
    assert same(_lists(one), _lists(other)), "a number changed its type"


def _lists(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _lists(item) for key, item in value.items()}
    return [_lists(item) for item in value] if isinstance(value, list | tuple) else value


@pytest.mark.parametrize("name", PROJECTS)
def test_a_project_means_the_same_after_import_and_render(name: str) -> None:
    project = fixture(name)
    snapshot = imported_fixture(name)
    assert_same_meaning(project.tree, configuration_tree(snapshot))


@pytest.mark.parametrize("name", PROJECTS)
def test_a_second_import_writes_nothing(name: str) -> None:
    project = fixture(name)
    snapshot = imported_fixture(name)
    again = planned(project, snapshot)
    assert again.operations == ()
    assert again.count("created") == again.count("changed") == 0
    assert again.count("unchanged") > 0


@pytest.mark.parametrize("name", PROJECTS)
def test_importing_what_the_registry_renders_writes_nothing(name: str) -> None:
    snapshot = imported_fixture(name)
    files = {file.path: file.content for file in snapshot.files}
    rendered = parse_project({"tensorzero.toml": tomli_w.dumps(configuration_tree(snapshot)), **files})
    assert planned(rendered, snapshot).operations == ()


@pytest.mark.parametrize(("first", "second"), list(itertools.permutations(PROJECTS, 2)))
def test_projects_can_be_imported_one_after_the_other(first: str, second: str) -> None:
    snapshot = imported(fixture(second), imported_fixture(first))
    assert planned(fixture(second), snapshot).operations == ()


names = st.sampled_from(["a", "b", "qwen2.5:7b", "x/y z"])
locations = st.sampled_from(
    [None, "none", "env::KEY", "env::OPENAI_API_KEY", "dynamic::key", {"default": "dynamic::k", "fallback": "env::KEY"}]
)
bases = st.sampled_from([None, "http://one:1/v1", "http://one:1/v1/", "https://api.openai.com/v1"])
extras: st.SearchStrategy[Tree] = st.sampled_from(
    [{}, {"timeouts": {"non_streaming": {"total_ms": 5}}}, {"extra_body": [{"pointer": "/a", "value": 1.0}]}]
)


@st.composite
def provider_tables(draw: st.DrawFn, *, embeds: bool) -> Tree:
    kind = draw(st.sampled_from(["openai"] if embeds else ["openai", "vllm", "groq", "mistral"]))
    table: Tree = {"type": kind, "model_name": draw(st.sampled_from(["m1", "m2"]))}
    base, location = draw(bases), draw(locations)
    if kind in {"openai", "vllm"} and (base or kind == "vllm"):
        table["api_base"] = base or "http://two:2/v1"
    if location is not None and (location != "none" or kind != "mistral"):
        table["api_key_location"] = location
    return table if embeds else table | draw(extras)


@st.composite
def model_tables(draw: st.DrawFn, *, embeds: bool) -> Tree:
    providers = draw(st.dictionaries(names, provider_tables(embeds=embeds), min_size=1, max_size=3))
    more = draw(st.sampled_from([{}, {"timeout_ms": 9} if embeds else {"skip_relay": True}]))
    return {"routing": draw(st.permutations(sorted(providers))), "providers": providers} | more


@st.composite
def function_tables(draw: st.DrawFn, models: list[str]) -> Tree:
    chat = st.fixed_dictionaries(
        {"type": st.just("chat_completion"), "model": st.sampled_from([*models, "openai::gpt", "mistral::small"])},
        optional={"temperature": st.sampled_from([0, 0.0, 0.5]), "stop_sequences": st.just(["x"])},
    )
    variants = draw(st.dictionaries(names, chat, min_size=1, max_size=3))
    if draw(st.booleans()):
        mixed: Tree = {"candidates": sorted(variants), "fuser": {"model": models[0]}}
        variants["mixed"] = mixed | {"type": "experimental_mixture_of_n"}
    order = draw(st.permutations(sorted(variants)))
    some = order[: draw(st.integers(1, len(order)))]
    rest = order[len(some) : draw(st.integers(len(some), len(order)))]
    table: Tree = {"type": "chat", "variants": variants}
    match draw(st.sampled_from(["nothing", "weights", "static", "list", "uniform", "adaptive"])):
        case "weights":
            for name in some:
                variants[name]["weight"] = draw(st.sampled_from([0, 0.0, 1, 0.25]))
        case "static":
            weights = {name: draw(st.sampled_from([0.5, 1, 2.0])) for name in some}
            table["experimentation"] = {"type": "static", "candidate_variants": weights, "fallback_variants": rest}
        case "list":
            table["experimentation"] = {"type": "static", "candidate_variants": some}
        case "uniform":
            table["experimentation"] = {"type": "uniform"} | draw(st.sampled_from([{}, {"candidate_variants": some}]))
        case "adaptive":
            table["experimentation"] = {"type": "adaptive", "metric": "x", "candidate_variants": some}
    return table | draw(st.sampled_from([{}, {"description": "d"}, {"tool_choice": "none"}]))


@st.composite
def projects(draw: st.DrawFn) -> Project:
    models = draw(st.dictionaries(names, model_tables(embeds=False), min_size=1))
    tree: Tree = {
        "models": models,
        "embedding_models": draw(st.dictionaries(names, model_tables(embeds=True), max_size=2)),
        "functions": draw(st.dictionaries(names, function_tables(sorted(models)), max_size=2)),
        "metrics": {"x": {"type": "boolean", "optimize": "max", "level": "inference"}},
    }
    if draw(st.booleans()):
        tree["provider_types"] = {"groq": {"defaults": {"api_key_location": "env::TEAM"}}}
    return parse_project({"tensorzero.toml": tomli_w.dumps(tree)})


@large_examples()
@given(projects())
def test_any_project_means_the_same_after_import_and_render(project: Project) -> None:
    snapshot = imported(project)
    assert_same_meaning(project.tree, configuration_tree(snapshot))
    assert planned(project, snapshot).operations == ()


@large_examples()
@given(projects(), projects())
def test_any_project_can_follow_any_other(first: Project, second: Project) -> None:
    before = imported(first)
    after = imported(second, before)
    assert planned(second, after).operations == ()
    for function in second.table("functions"):
        (row,) = after.functions.where("name", function)
        assert row.type == second.table("functions")[function]["type"]
    tree = configuration_tree(after)
    for section in ("models", "embedding_models"):
        for name, table in meaning(second.tree)[section].items():
            found = meaning(tree)[section][name]
            assert found["routing"][: len(table["routing"])] == table["routing"]
            assert {key: found["providers"][key] for key in table["providers"]} == table["providers"]
