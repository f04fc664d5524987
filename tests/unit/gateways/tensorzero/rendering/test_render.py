"""What rows become in a gateway's configuration. tests/acceptance checks that the gateway accepts it."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_registry.entities.change import Operation
from model_registry.gateways.tensorzero.rendering.function_tables import function_views
from model_registry.gateways.tensorzero.rendering.render import RenderCache, Rendered, configuration_tree, render
from model_registry.gateways.tensorzero.rules import check_configuration
from model_registry.snapshot.snapshot import Snapshot
from support.catalogues import Catalogue, stored
from support.drawn import Drawn, catalogues
from support.profiles import large_examples


def rendered(catalogue: Catalogue) -> Rendered:
    return render(catalogue.snapshot())


def tree(catalogue: Catalogue) -> dict[str, Any]:
    return tomllib.loads(rendered(catalogue).text)


def left_out(catalogue: Catalogue) -> dict[tuple[str, str], str]:
    return {(o.kind, o.name): o.reason for o in rendered(catalogue).omitted}


def test_every_provider_has_its_own_base_url_and_key() -> None:
    catalogue = Catalogue()
    catalogue.model(catalogue.provider("free", "ollama", api_base="http://h:11434/v1"), "a", model_id="a:7b")
    catalogue.model(catalogue.provider("paid", "anthropic", api_key_env_var="MY_KEY"), "b")
    catalogue.model(catalogue.provider("default", "mistral"), "c")
    providers = {name: table["providers"] for name, table in tree(catalogue)["models"].items()}
    free = {"type": "openai", "model_name": "a:7b", "api_base": "http://h:11434/v1", "api_key_location": "none"}
    assert providers == {
        "a": {"free": free},
        "b": {"paid": {"type": "anthropic", "model_name": "b-id", "api_key_location": "env::MY_KEY"}},
        "c": {"default": {"type": "mistral", "model_name": "c-id"}},
    }


def test_the_key_of_googles_types_is_a_file_whose_path_is_in_the_variable() -> None:
    catalogue = Catalogue()
    where = {"location": "l", "project_id": "p"}
    provider = catalogue.provider("g", "gcp_vertex_gemini", api_key_env_var="MY_FILE", tensorzero=where)
    catalogue.model(provider, "m")
    catalogue.model(provider, "tuned", tensorzero={"provider": {"endpoint_id": "7"}})
    models = tree(catalogue)["models"]
    common = {"type": "gcp_vertex_gemini", "credential_location": "path_from_env::MY_FILE", **where}
    assert models["m"]["providers"]["g"] == {**common, "model_id": "m-id"}
    assert models["tuned"]["providers"]["g"] == {**common, "endpoint_id": "7"}


def test_extra_keys_of_a_model_win_over_those_of_its_provider_and_null_takes_a_key_away() -> None:
    catalogue = Catalogue()
    provider = catalogue.provider(
        "p", tensorzero={"api_type": "responses", "api_key_location": "dynamic::k", "x": None}
    )
    catalogue.model(provider, "m")
    catalogue.model(provider, "n", tensorzero={"provider": {"api_type": "chat_completions", "api_key_location": None}})
    models = tree(catalogue)["models"]
    assert models["m"]["providers"]["p"]["api_key_location"] == "dynamic::k"
    assert models["n"]["providers"]["p"] == {
        "type": "openai",
        "model_name": "n-id",
        "api_base": "http://openai-compatible.example/v1",
        "api_type": "chat_completions",
    }


def test_rows_that_share_a_name_are_one_model_in_routing_order() -> None:
    catalogue = Catalogue()
    for name, priority in (("b", 1), ("c", 0), ("a", 1)):
        catalogue.model(catalogue.provider(name), "m", routing_priority=priority)
    catalogue.model(
        catalogue.provider("d"),
        "m",
        tensorzero={"provider_key": "first", "model": {"skip_relay": True}},
        routing_priority=-1,
    )
    model = tree(catalogue)["models"]["m"]
    assert model["routing"] == ["first", "c", "a", "b"] == list(model["providers"])
    assert model["skip_relay"] is True


def test_embedding_models_have_a_section_of_their_own_even_under_the_same_name() -> None:
    catalogue = Catalogue()
    catalogue.model(catalogue.provider("a"), "m")
    catalogue.model(catalogue.provider("b"), "m", model_type="embedding")
    catalogue.model(catalogue.provider("c"), "v", model_type="vl")
    document = tree(catalogue)
    assert list(document["models"]) == ["m", "v"]
    assert list(document["embedding_models"]["m"]["providers"]) == ["b"]


def test_what_is_not_rendered_is_listed_with_the_reason() -> None:
    catalogue = Catalogue()
    local = catalogue.provider("local")
    catalogue.model(local, "old", active=False)
    catalogue.model(catalogue.provider("gone", active=False), "unreachable")
    catalogue.model(catalogue.provider("voice", "custom"), "tts")
    ranks = catalogue.model(local, "ranks", model_type="reranker")
    catalogue.mapping(ranks, "v")
    catalogue.alias(ranks, "ranker")
    catalogue.alias(catalogue.model(local, "fine"), "elsewhere", "other tool")
    reasons = left_out(catalogue)
    assert set(tree(catalogue)) == {"models"}
    assert set(tree(catalogue)["models"]) == {"fine"}
    assert reasons == {
        ("provider", "gone"): "it is not active",
        ("provider", "voice"): "the gateway has nothing for providers of type custom",
        ("model", "old"): "at provider local: it is not active",
        ("model", "ranks"): "at provider local: the gateway has no models of type reranker",
        ("model", "tts"): "at provider voice: the gateway has nothing for providers of type custom",
        ("model", "unreachable"): "at provider gone: its provider gone is not active",
        ("function", "svc_chat"): "none of its variants has a model that the gateway can use",
        ("variant", "svc_chat.v"): "its model ranks is left out: the gateway has no models of type reranker",
    }


def test_what_somebody_switched_off_leaves_no_trace_in_the_text() -> None:
    catalogue = Catalogue()
    catalogue.model(catalogue.provider("local"), "m")
    before = rendered(catalogue).text
    catalogue.model(catalogue.provider("cloud", "openai", active=False), "m2")
    catalogue.model(catalogue.provider("other", "custom", active=False), "m3", active=False)
    assert rendered(catalogue).text == before
    assert {("model", "m2"), ("model", "m3"), ("provider", "cloud")} <= left_out(catalogue).keys()


def test_aliases_are_further_keys_of_the_whole_routed_model() -> None:
    catalogue = Catalogue()
    m = catalogue.model(catalogue.provider("a"), "m")
    catalogue.model(catalogue.provider("b"), "m")
    for alias, context in (
        ("x", None),
        ("y", "default"),
        ("z", "tensorzero"),
        ("m", None),
        ("x", "default"),
        ("no", "other"),
    ):
        catalogue.alias(m, alias, context)
    models = tree(catalogue)["models"]
    assert set(models) == {"m", "x", "y", "z"}
    assert models["x"] == models["y"] == models["z"] == models["m"]
    assert models["x"]["routing"] == ["a", "b"]


def test_an_alias_that_clashes_is_left_out_and_the_first_one_stays() -> None:
    catalogue = Catalogue()
    provider = catalogue.provider()
    m, n = catalogue.model(provider, "m"), catalogue.model(provider, "n")
    catalogue.alias(m, "n")
    catalogue.alias(m, "x")
    catalogue.alias(n, "x", "tensorzero")
    assert tree(catalogue)["models"]["x"]["providers"]["local"]["model_name"] == "m-id"
    assert left_out(catalogue) == {
        ("alias", "n"): "a model has this name, so it is no name of m",
        ("alias", "x"): "it is an alias of m already, so it is no name of n",
    }


def test_a_shorthand_has_no_table_and_its_alias_has_one_that_says_the_same() -> None:
    catalogue = Catalogue()
    model = catalogue.model(catalogue.provider("p", "openai"), "openai::responses::gpt-5", model_id="gpt-5")
    catalogue.alias(model, "smart")
    catalogue.mapping(model)
    document = tree(catalogue)
    assert document["functions"]["svc_chat"]["variants"]["v"]["model"] == "openai::responses::gpt-5"
    smart = {"routing": ["p"], "providers": {"p": {"type": "openai", "model_name": "gpt-5", "api_type": "responses"}}}
    assert document["models"] == {"smart": smart}


def test_the_best_priority_shares_the_calls_and_the_others_follow_in_order() -> None:
    catalogue = Catalogue()
    provider = catalogue.provider()
    shares = {"b": (1, 0.25), "a": (1, 0.75), "light": (5, 1.0), "heavy": (5, 2.0), "next": (2, 0.0)}
    for name, (priority, weight) in shares.items():
        catalogue.mapping(catalogue.model(provider, name), name, priority=priority, weight=weight)
    assert tree(catalogue)["functions"]["svc_chat"]["experimentation"] == {
        "type": "static",
        "candidate_variants": {"a": 0.75, "b": 0.25},
        "fallback_variants": ["next", "heavy", "light"],
    }


def test_a_fallback_model_becomes_a_last_variant_unless_there_is_the_same_one() -> None:
    catalogue = Catalogue()
    provider = catalogue.provider()
    m, n = catalogue.model(provider, "m"), catalogue.model(provider, "n")
    catalogue.mapping(m, "first", fallback_model_id=n, tensorzero={"temperature": 0.5})
    catalogue.mapping(n, "second", fallback_model_id=m, priority=2)
    catalogue.mapping(n, "third", fallback_model_id=n, priority=3, tensorzero={"seed": 1})
    function = tree(catalogue)["functions"]["svc_chat"]
    assert function["experimentation"]["fallback_variants"] == ["second", "third", "first_fallback", "second_fallback"]
    assert function["variants"]["first_fallback"] == {"type": "chat_completion", "model": "n", "temperature": 0.5}


def test_what_a_function_says_itself_replaces_what_would_be_generated() -> None:
    catalogue = Catalogue()
    best = {"type": "experimental_best_of_n_sampling", "candidates": ["v"], "evaluator": {"model": "m"}}
    own = {"variants": {"best": best}, "experimentation": {"type": "uniform"}, "tool_choice": "auto"}
    catalogue.function("chat", name="talk", description="Says things.", tensorzero=own)
    catalogue.mapping(catalogue.model(catalogue.provider(), "m"), "v")
    assert tree(catalogue)["functions"] == {
        "talk": {
            "type": "chat",
            "description": "Says things.",
            "tool_choice": "auto",
            "experimentation": {"type": "uniform"},
            "variants": {"v": {"type": "chat_completion", "model": "m"}, "best": best},
        }
    }


def test_functions_are_listed_with_the_role_of_each_variant() -> None:
    catalogue = Catalogue()
    provider = catalogue.provider()
    m, n = catalogue.model(provider, "m"), catalogue.model(provider, "n")
    best = {"type": "experimental_best_of_n_sampling", "candidates": ["v"], "evaluator": {"model": "m"}}
    catalogue.function("chat", tensorzero={"variants": {"best": best}})
    catalogue.function("empty")
    catalogue.mapping(m, "v", weight=2, fallback_model_id=n)
    variant = {"type": "chat_completion", "priority": 1, "weight": 2.0}
    chosen = {"name": "best", "type": best["type"], "model": None, "priority": None, "weight": None, "role": "pinned"}
    assert function_views(catalogue.snapshot()) == [
        {
            "name": "svc_chat",
            "service_name": "svc",
            "function_name": "chat",
            "type": "chat",
            "description": None,
            "variants": [
                {**variant, "name": "v", "model": "m", "role": "candidate"},
                {**variant, "name": "v_fallback", "model": "n", "role": "fallback"},
                chosen,
            ],
        }
    ]


def test_sections_are_rendered_as_they_are_but_not_in_the_place_of_rows() -> None:
    catalogue = Catalogue()
    for name, value in (("gateway", {"debug": True, "x": None}), ("tools", {}), ("models", {"m": {}})):
        catalogue.operations.append(Operation("config_sections", "insert", name, {"name": name, "value": value}))
    assert tree(catalogue) == {"gateway": {"debug": True}, "tools": {}}
    assert left_out(catalogue) == {("section", "models"): "the registry holds this as rows"}


def test_older_clients_find_tables_by_unquoted_headers_at_the_start_of_a_line() -> None:
    headers = re.findall(r"^\[([A-Za-z0-9_.\-]+)\]", rendered(stored()).text, re.MULTILINE)
    assert {"models.gemma3_12b", "embedding_models.default_embedding", "functions.helpdesk_answer"} <= set(headers)
    assert "models.gemma3_12b.providers.ollama_workstation" in headers


def test_a_name_cannot_break_out_of_a_comment() -> None:
    catalogue = Catalogue()
    provider = catalogue.provider("p\u2028[models.evil]\u2029x", "custom")
    catalogue.model(provider, 'm"\u202e')
    text = rendered(catalogue).text
    assert "Left out" in text
    assert all(line.startswith("#") or not line for line in text.splitlines())
    assert tomllib.loads(text) == {}


def test_equal_rows_give_equal_bytes_whatever_their_ids_and_order_and_revision() -> None:
    operations = stored().operations
    text = render(Snapshot.empty().preview(operations)).text
    names = {operation.id: f"other-{number % 7}-{number}" for number, operation in enumerate(operations)}
    renamed = [
        Operation(
            o.table,
            o.action,
            names[o.id],
            {k: names.get(v, v) if isinstance(v, str) else v for k, v in reversed((o.row or {}).items())},
        )
        for o in operations
    ]
    later = Snapshot.empty().preview(renamed).advanced(99, [])
    assert render(later).text == text


@large_examples()
@given(drawn=catalogues())
def test_any_catalogue_that_the_guard_accepts_parses_back_and_has_nothing_wrong(drawn: Drawn) -> None:
    found = tomllib.loads(render(drawn.snapshot).text)
    assert found == configuration_tree(drawn.snapshot)
    assert check_configuration(found) == []


@large_examples()
@given(drawn=catalogues(guarded=False), data=st.data())
def test_a_rendering_with_a_cache_is_the_one_without(drawn: Drawn, data: st.DataObject) -> None:
    cache = RenderCache()
    for snapshot in data.draw(st.permutations([Snapshot.empty(), *drawn.history])):
        assert render(snapshot, cache) == render(snapshot)


@pytest.mark.parametrize(
    ("weights", "priorities", "said"),
    [
        ([1.0], [1], None),
        ([0.5], [7], None),
        ([1.0, 1.0, 1.0], [1, 1, 1], None),
        ([0.5, 0.5], [1, 1], None),
        ([0.25, 0.75], [1, 1], {"v0": 0.25, "v1": 0.75}),
        ([1.0, 1.0], [1, 2], {"v0": 1.0}),
        ([0.0], [1], {"v0": 0.0}),
    ],
)
def test_an_experimentation_is_only_written_where_variants_differ(
    weights: list[float], priorities: list[int], said: dict[str, float] | None
) -> None:
    """Gateways before 2026.3 refuse the type `static`, and draw among equals without it."""
    catalogue = Catalogue()
    model = catalogue.model(catalogue.provider(), "m")
    for number, (weight, priority) in enumerate(zip(weights, priorities, strict=True)):
        catalogue.mapping(model, f"v{number}", weight=weight, priority=priority)
    (function,) = configuration_tree(catalogue.snapshot())["functions"].values()
    assert function.get("experimentation", {}).get("candidate_variants") == said
