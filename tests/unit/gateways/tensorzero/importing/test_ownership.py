"""Whose a row is that was imported: adopted, shared, in conflict, renamed, overwritten, kept, removed."""

from __future__ import annotations

import uuid
from typing import Any, get_args

import pytest
import tomli_w

from model_registry.entities.change import Operation
from model_registry.errors import ConflictReason, ImportConflict, Invalid
from model_registry.gateways.tensorzero.importing.content import content_of
from model_registry.gateways.tensorzero.importing.plan import plan_import
from model_registry.gateways.tensorzero.reading.parse import parse_project
from model_registry.gateways.tensorzero.rendering.render import configuration_tree
from model_registry.imports.plan import ImportPlan
from model_registry.imports.projects import Destination, OnConflict, model_owners, project_named
from model_registry.snapshot.snapshot import Snapshot

Tree = dict[str, Any]
BILLING, SEARCH = Destination(project="billing"), Destination(project="search")
WAYS = get_args(OnConflict)


def new_id() -> str:
    return str(uuid.uuid4())


def model(model_id: str, base: str = "http://server:9000/v1") -> Tree:
    provider = {"type": "vllm", "api_base": base, "model_name": model_id, "api_key_location": "none"}
    return {"routing": ["server"], "providers": {"server": provider}}


def function(**variant: Any) -> Tree:
    return {"type": "chat", "variants": {"v": {"type": "chat_completion", "model": "fast"} | variant}}


def team(model_id: str = "qwen", **sections: Any) -> Tree:
    """A project with the names that everybody uses."""
    return {"models": {"fast": model(model_id)}, "functions": {"chat": function()}} | sections


def plan(
    tree: Tree,
    before: Snapshot,
    into: Destination,
    *,
    replace: bool = False,
    **files: str,
) -> ImportPlan:
    texts = {"tensorzero.toml": tomli_w.dumps(tree)} | {name.replace("_", "."): text for name, text in files.items()}
    return plan_import(parse_project(texts), before, new_id, replace=replace, into=into)


def imported(
    tree: Tree, before: Snapshot | None, into: Destination, *, replace: bool = False, **files: Any
) -> Snapshot:
    before = before or Snapshot.empty()
    after = before.preview(plan(tree, before, into, replace=replace, **files).operations)
    assert plan(tree, after, into, replace=replace, **files).operations == ()
    return after


def solved(way: OnConflict, project: str = "search") -> Destination:
    return Destination(project=project, on_conflict=way)


def conflict(tree: Tree, before: Snapshot, into: Destination = SEARCH, **files: Any) -> dict[str, ConflictReason]:
    with pytest.raises(ImportConflict) as refused:
        plan(tree, before, into, **files)
    assert all(isinstance(reason, ConflictReason) for reason in refused.value.reasons)
    return {reason.where: reason for reason in refused.value.reasons}  # type: ignore[misc]


# Whose --------------------------------------------------------------------------------------------------------------


def test_new_rows_belong_to_the_project() -> None:
    tree = team(metrics={"good": METRIC}, tools={"look": TOOL})
    after = imported(tree, None, BILLING, p_json="{}")
    assert [row.project for row in after.functions] == ["billing"]
    assert [row.project for row in after.files] == ["billing"]
    assert {row.name: row.projects for row in after.sections} == {
        "metrics": {"good": "billing"},
        "tools": {"look": "billing"},
    }
    assert [model_owners(row, "tensorzero") for row in after.models] == [{"billing"}]


METRIC = {"type": "boolean", "optimize": "max", "level": "inference"}
TOOL = {"description": "Looks", "parameters": "p.json"}


@pytest.mark.parametrize("changed", [False, True])
def test_rows_of_nobody_are_adopted_and_unchanged_where_they_are_alike(*, changed: bool) -> None:
    before = imported(team(), None, Destination())
    done = plan(team("other" if changed else "qwen"), before, BILLING)
    assert {entry.action for entry in done.report} == ({"unchanged", "changed"} if changed else {"unchanged"})
    after = before.preview(done.operations)
    assert [row.project for row in after.functions] == ["billing"]
    assert [row.model_id for row in after.models] == ["other" if changed else "qwen"]


def test_a_project_changes_its_own_rows() -> None:
    before = imported(team(), None, BILLING)
    after = imported(team("other"), before, BILLING)
    assert configuration_tree(after) == parse_project({"t.toml": tomli_w.dumps(team("other"))}).tree


def test_what_two_projects_have_alike_belongs_to_both_and_neither_changes_it_alone() -> None:
    both = imported(team(), imported(team(), None, BILLING), SEARCH)
    assert [row.project for row in both.functions] == ["billing, search"]
    assert len(both.models) == 1
    found = conflict(team("other"), both, BILLING)
    assert "search" in found["models.fast.providers.server.model_name"].message


def test_replacing_removes_what_is_the_projects_alone_and_gives_up_its_part_of_the_rest() -> None:
    more = team(metrics={"good": METRIC})
    more["functions"]["own"] = function(temperature=0.5)
    both = imported(more, imported(team(metrics={"good": METRIC}), None, BILLING), SEARCH)
    less = {"models": {"slow": model("slow")}}
    after = imported(less, both, SEARCH, replace=True)
    assert {row.name: row.project for row in after.functions} == {"chat": "billing"}
    assert {row.name: model_owners(row, "tensorzero") for row in after.models} == {
        "fast": {"billing"},
        "slow": {"search"},
    }
    assert [row.projects for row in after.sections] == [{"good": "billing"}]
    assert plan(team(metrics={"good": METRIC}), after, BILLING).operations == ()


def test_replacing_leaves_what_people_made() -> None:
    rows = {"service_name": "agent_zero", "function_name": "chat", "name": "agent_zero_chat"}
    before = imported(team(), None, BILLING)
    (fast,) = before.models
    mapping = {"service_name": "agent_zero", "function_name": "chat", "variant_name": "a", "model_id": fast.id}
    operations = [Operation("functions", "insert", new_id(), rows)]
    operations.append(Operation("service_model_mappings", "insert", new_id(), mapping))
    after = imported({"models": {"slow": model("slow")}}, before.preview(operations), BILLING, replace=True)
    assert [row.name for row in after.functions] == ["agent_zero_chat"]
    assert {row.name for row in after.models} == {"fast", "slow"}, "a person's mapping has it still"


# Conflicts ----------------------------------------------------------------------------------------------------------


def test_a_conflict_shows_both_sides_of_each_value_and_what_to_do() -> None:
    before = imported(team(), None, BILLING)
    with pytest.raises(ImportConflict) as refused:
        plan(team("other", functions={"chat": function(temperature=0.5)}), before, SEARCH)
    sides = {reason.where: (reason.registry, reason.project) for reason in refused.value.reasons}  # type: ignore[attr-defined]
    assert sides == {
        "models.fast.providers.server.model_name": ('"qwen"', '"other"'),
        "functions.chat.variants.v.temperature": ("null", "0.5"),
    }
    for word in ("billing", "search", "--on-conflict rename, overwrite or keep", "--gateway", "--project billing"):
        assert word in refused.value.message


@pytest.mark.parametrize(
    ("first", "second", "where"),
    [
        (team(), team("other"), "models.fast.providers.server.model_name"),
        (team(), team(functions={"chat": function(temperature=1)}), "functions.chat.variants.v.temperature"),
        (team(metrics={"m": METRIC}), team(metrics={"m": METRIC | {"optimize": "min"}}), "metrics.m.optimize"),
        (team(gateway={"debug": True}), team(gateway={"debug": False}), "gateway.debug"),
        (team(rate_limiting={"enabled": True}), team(rate_limiting={"enabled": False}), "rate_limiting.enabled"),
        (
            team(object_storage={"type": "filesystem", "path": "x"}),
            team(object_storage={"type": "disabled"}),
            "object_storage.type",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.parametrize("way", [None, *WAYS])
def test_every_kind_of_entry_is_a_conflict_with_three_ways_out(
    first: Tree, second: Tree, where: str, way: OnConflict | None
) -> None:
    before = imported(first, None, BILLING)
    if way is None:
        assert where in conflict(second, before)
        return
    after = imported(second, before, solved(way))
    section, name, *_ = where.split(".")
    was, now = configuration_tree(before)[section], configuration_tree(after)[section]
    taken = configuration_tree(imported(second, None, SEARCH))[section][name]
    assert now[name] == (taken if way == "overwrite" else was[name])
    is_setting = section in {"gateway", "rate_limiting", "object_storage"}
    assert (f"search_{name}" in now) == (way == "rename" and not is_setting)


def test_settings_of_different_names_stand_beside_each_other() -> None:
    before = imported(team(gateway={"debug": True}), None, BILLING)
    after = imported(team(gateway={"unstable_error_json": True}), before, SEARCH)
    (section,) = after.sections
    assert section.value == {"debug": True, "unstable_error_json": True}
    assert section.projects == {"debug": "billing", "unstable_error_json": "search"}
    without = imported(team(gateway={}), after, SEARCH)
    assert [row.value for row in without.sections] == [{"debug": True}]


def test_a_prompt_file_of_the_same_path_is_a_conflict_and_its_new_name_is_followed() -> None:
    def with_prompt(name: str) -> Tree:
        prompted = function(templates={"system": {"path": "p.txt"}})
        return {"models": {"fast": model("qwen")}, "functions": {name: prompted}}

    before = imported(with_prompt("one"), None, BILLING, p_txt="Be brief.")
    found = conflict(with_prompt("two"), before, p_txt="Be long.")
    assert (found["p.txt"].registry, found["p.txt"].project) == ('"Be brief."', '"Be long."')
    after = imported(with_prompt("two"), before, solved("rename"), p_txt="Be long.")
    assert {row.path: (row.content, row.project) for row in after.files} == {
        "p.txt": ("Be brief.", "billing"),
        "search/p.txt": ("Be long.", "search"),
    }
    functions = configuration_tree(after)["functions"]
    paths = {name: table["variants"]["v"]["templates"]["system"]["path"] for name, table in functions.items()}
    assert paths == {"one": "p.txt", "two": "search/p.txt"}
    kept = imported(with_prompt("two"), before, solved("keep"), p_txt="Be long.")
    assert [(row.content, row.project) for row in kept.files] == [("Be brief.", "billing")]


def test_a_file_that_templates_include_cannot_have_another_name() -> None:
    tree = team(gateway={"template_filesystem_access": {"base_path": "."}})
    before = imported(tree, None, BILLING, p_txt="Be brief.")
    with pytest.raises(ImportConflict, match="templates include files by their paths"):
        plan(tree, before, solved("rename"), p_txt="Be long.")


def test_renaming_follows_every_reference() -> None:
    everything = team(
        metrics={"m": METRIC},
        tools={"look": TOOL},
        embedding_models={"embed": embedding("one")},
        evaluations={"judged": {"type": "inference", "function_name": "chat", "evaluators": {"exact": EXACT}}},
        optimizers={"dicl": {"type": "dicl", "function_name": "chat", "model": "fast", "embedding_model": "embed"}},
    )
    everything["functions"]["chat"] |= {"tools": ["look"], "tool_choice": {"specific": "look"}}
    everything["functions"]["chat"]["variants"] |= {
        "best": {
            "type": "experimental_best_of_n_sampling",
            "candidates": ["v"],
            "evaluator": {
                "model": "fast",
                "extra_body": [{"pointer": "/a", "value": {"model": "fast"}, "model_name": "fast"}],
            },
        },
        "learns": {
            "type": "experimental_dynamic_in_context_learning",
            "model": "fast",
            "embedding_model": "embed",
            "k": 1,
        },
    }
    everything["functions"]["chat"]["experimentation"] = {
        "type": "adaptive",
        "metric": "m",
        "candidate_variants": ["v", "learns"],
    }
    different = team(
        "other",
        metrics={"m": METRIC | {"optimize": "min"}},
        tools={"look": TOOL | {"description": "Sees"}},
        embedding_models={"embed": embedding("two")},
    )
    before = imported(different, None, BILLING, p_json="{}")
    after = imported(everything, before, solved("rename"), p_json="{}")
    tree = configuration_tree(after)
    chat = tree["functions"]["search_chat"]
    best, learns = chat["variants"]["best"]["evaluator"], chat["variants"]["learns"]
    assert chat["variants"]["v"]["model"] == best["model"] == learns["model"] == "search_fast"
    assert best["extra_body"] == [{"pointer": "/a", "value": {"model": "fast"}, "model_name": "search_fast"}]
    assert learns["embedding_model"] == "search_embed"
    assert (chat["tools"], chat["tool_choice"]) == (["search_look"], {"specific": "search_look"})
    assert chat["experimentation"]["metric"] == "search_m"
    assert tree["tools"]["search_look"]["name"] == "look", "models see the name that prompts know"
    assert tree["evaluations"]["judged"]["function_name"] == "search_chat"
    assert tree["optimizers"]["dicl"] == {
        "type": "dicl",
        "function_name": "search_chat",
        "model": "search_fast",
        "embedding_model": "search_embed",
    }
    assert {name: tree[name] for name in ("metrics", "models")} | {} == {
        "metrics": {"m": METRIC | {"optimize": "min"}, "search_m": METRIC},
        "models": {"fast": model("other"), "search_fast": model("qwen")},
    }


EXACT = {"type": "exact_match"}


def embedding(model_id: str) -> Tree:
    provider = {"type": "openai", "model_name": model_id, "api_base": "http://e:1/v1", "api_key_location": "none"}
    return {"routing": ["server"], "providers": {"server": provider}}


def test_a_function_in_the_same_words_on_a_renamed_model_is_another_function() -> None:
    before = imported(team(), None, BILLING)
    tree = configuration_tree(imported(team("other"), before, solved("rename")))
    assert tree["functions"]["chat"]["variants"]["v"]["model"] == "fast"
    assert tree["functions"]["search_chat"]["variants"]["v"]["model"] == "search_fast"


def test_a_name_that_people_have_is_not_given_to_what_is_renamed() -> None:
    taken = {"service_name": "a", "function_name": "b", "name": "search_chat"}
    before = imported(team(), None, BILLING).preview([Operation("functions", "insert", new_id(), taken)])
    after = imported(team(functions={"chat": function(temperature=1)}), before, solved("rename"))
    assert {row.name: row.project for row in after.functions} == {
        "chat": "billing",
        "search_chat": None,
        "search-2_chat": "search",
    }


def test_overwriting_takes_over_with_the_variants_and_the_model_of_others() -> None:
    first = team()
    first["functions"]["chat"]["variants"]["w"] = {"type": "chat_completion", "model": "fast", "temperature": 1}
    before = imported(first, None, BILLING)
    after = imported(team("other"), before, solved("overwrite"))
    assert configuration_tree(after) == configuration_tree(imported(team("other"), None, SEARCH))
    assert [row.project for row in after.functions] == ["search"]
    assert "models.fast.providers.server.model_name" in conflict(first, after, BILLING)


def test_a_model_with_another_provider_first_means_something_else() -> None:
    moved = team()
    moved["models"]["fast"] = model("qwen", "http://elsewhere:1/v1")
    before = imported(team(), None, BILLING)
    assert "models.fast.providers.server.api_base" in conflict(moved, before)
    tree = configuration_tree(imported(moved, before, solved("rename")))
    assert tree["models"] == {"fast": team()["models"]["fast"], "search_fast": moved["models"]["fast"]}


def test_a_providers_address_in_another_spelling_means_the_same() -> None:
    spelled = team()
    spelled["models"]["fast"] = model("qwen", "http://SERVER:9000/v1/")
    after = imported(spelled, imported(team(), None, BILLING), SEARCH)
    assert [model_owners(row, "tensorzero") for row in after.models] == [{"billing", "search"}]


def test_an_embedding_model_with_the_name_of_another_projects_chat_model_is_a_row_of_its_own() -> None:
    before = imported(team(), None, BILLING)
    other = {"embedding_models": {"fast": embedding("e")}}
    after = imported(other, before, SEARCH)
    assert configuration_tree(after)["models"] == team()["models"]
    assert configuration_tree(after)["embedding_models"] == other["embedding_models"]


def test_a_default_key_that_would_be_anothers_too_is_a_conflict() -> None:
    short = {"functions": {"chat": function(model="groq::llama")}}
    keyed = {"models": {"m": model("m")}, "provider_types": {"groq": {"defaults": {"api_key_location": "env::TEAM"}}}}
    assert "provider_types.groq" in conflict(keyed, imported(short, None, BILLING))
    assert "provider_types.groq" in conflict(short, imported(keyed, None, BILLING))
    after = imported(keyed, imported(short, None, BILLING), solved("keep"))
    assert "provider_types" not in configuration_tree(after) or not configuration_tree(after)["provider_types"]


def test_an_alias_of_a_model_that_others_have_too_is_that_alias() -> None:
    before = imported(team(), None, BILLING)
    (fast,) = before.models
    before = before.preview([Operation("model_aliases", "insert", new_id(), {"model_id": fast.id, "alias": "nick"})])
    exported = configuration_tree(before)
    assert exported["models"]["nick"] == exported["models"]["fast"]
    after = imported(exported, before, SEARCH)
    assert [row.name for row in after.models] == ["fast"]
    exported["functions"]["chat"]["variants"]["v"]["model"] = "nick"
    assert configuration_tree(imported(exported, before, solved("rename")))["models"] == exported["models"]


# Gateways -----------------------------------------------------------------------------------------------------------


def test_a_gateway_of_its_own_is_made_and_has_its_own_names() -> None:
    before = imported(team(), None, BILLING)
    edge = Destination(gateway="edge", project="search")
    tree = {"models": {"slow": model("slow")}, "functions": {"chat": function(model="slow")}}
    after = imported(tree, before, edge)
    (gateway,) = after.gateways
    assert (gateway.name, gateway.kind, gateway.content_of) == ("edge", "tensorzero", "edge")
    rows = {row.gateway: (row.service_name, row.function_name, row.name) for row in after.functions}
    assert rows == {"tensorzero": ("tensorzero", "chat", "chat"), "edge": ("edge", "chat", "chat")}
    assert configuration_tree(content_of(after, "edge"))["functions"] == tree["functions"]
    assert configuration_tree(content_of(after, "tensorzero"))["functions"] == team()["functions"]


def test_models_are_everybodys_so_another_gateways_is_a_conflict_too() -> None:
    before = imported(team(), None, BILLING)
    found = conflict(team("other"), before, Destination(gateway="edge", project="billing"))
    assert "tensorzero/billing" in found["models.fast.providers.server.model_name"].message


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"kind": "litellm", "content_of": "edge"}, "kind litellm"),
        ({"content_of": "tensorzero"}, "content of tensorzero"),
    ],
)
def test_a_gateway_that_cannot_have_the_content_is_refused(row: Tree, words: str) -> None:
    edge = {"name": "edge", "kind": "tensorzero"} | row
    before = Snapshot.empty().preview([Operation("gateways", "insert", new_id(), edge)])
    with pytest.raises(Invalid, match=words):
        plan(team(), before, Destination(gateway="edge", project="billing"))


@pytest.mark.parametrize(
    ("directory", "name"),
    [("config", "config"), ("My prompts!", "My-prompts"), (".hidden", "hidden"), ("", "default"), ("Straße", "Stra-e")],
)
def test_a_directory_names_its_project(directory: str, name: str) -> None:
    assert project_named(directory) == name
