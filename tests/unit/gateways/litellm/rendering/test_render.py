"""The whole configuration: its text, its settings, what is left out, and what one change costs."""

from __future__ import annotations

from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st

from model_registry.entities.change import Operation
from model_registry.entities.gateway import Gateway
from model_registry.gateways.kind import Rendered, Variable
from model_registry.gateways.litellm.rendering.render import LiteLLMRenderer
from model_registry.snapshot.snapshot import Snapshot
from support.catalogues import Catalogue
from support.drawn import Drawn, catalogues

EDGE = Gateway(id="g", name="edge", kind="litellm", content_of="edge")
BESIDE = EDGE.model_copy(update={"content_of": "tensorzero"})


def rendered(snapshot: Snapshot, gateway: Gateway = EDGE) -> Rendered:
    return LiteLLMRenderer().render(snapshot, gateway)


def text(snapshot: Snapshot, gateway: Gateway = EDGE) -> str:
    return rendered(snapshot, gateway).files["config.yaml"].decode()


def tree(snapshot: Snapshot, gateway: Gateway = EDGE) -> dict[str, Any]:
    parsed: dict[str, Any] = yaml.safe_load(text(snapshot, gateway))
    return parsed


def omitted(snapshot: Snapshot, gateway: Gateway = EDGE) -> list[tuple[str, str, str]]:
    return [(o.kind, o.name, o.reason) for o in rendered(snapshot, gateway).omitted]


def with_sections(snapshot: Snapshot, **sections: Any) -> Snapshot:
    rows = [
        Operation("config_sections", "insert", f"section-{name}", {"name": name, "value": value, "gateway": "edge"})
        for name, value in sections.items()
    ]
    return snapshot.preview(rows)


def test_models_stand_before_functions_each_by_name() -> None:
    catalogue = Catalogue()
    m = catalogue.model(catalogue.provider(), "z")
    catalogue.model(catalogue.provider("other"), "b")
    catalogue.function(function_name="a")
    catalogue.mapping(m, function_name="a")
    assert [entry["model_name"] for entry in tree(catalogue.snapshot())["model_list"]] == ["b", "z", "svc_a"]


def test_an_empty_registry_is_a_configuration_without_models() -> None:
    assert tree(Snapshot.empty()) == {"model_list": []}


def test_aliases_are_further_names_in_the_router_settings() -> None:
    catalogue = Catalogue()
    m = catalogue.model(catalogue.provider(), "m")
    off = catalogue.model(catalogue.provider("p"), "off", active=False)
    for alias, context in (("b", None), ("a", "litellm"), ("there", "tensorzero"), ("m", None)):
        catalogue.alias(m, alias, context)
    catalogue.alias(off, "nothing")
    snapshot = catalogue.snapshot()
    assert tree(snapshot)["router_settings"] == {"model_group_alias": {"a": "m", "b": "m"}}
    assert ("alias", "nothing", "its model off is left out") in omitted(snapshot)


def test_what_a_section_says_of_aliases_wins_and_everything_else_stays_as_it_is() -> None:
    catalogue = Catalogue()
    m = catalogue.model(catalogue.provider(), "m")
    catalogue.alias(m, "a")
    router = {"num_retries": 3, "model_group_alias": {"a": {"model": "m", "hidden": True}, "z": "gone"}}
    snapshot = with_sections(
        catalogue.snapshot(),
        router_settings=router,
        litellm_settings={"fallbacks": [{"m": ["gone"]}]},
        credential_list={"litellm_value": [{"credential_name": "c"}]},
        unheard_of={"x": 1},
    )
    assert tree(snapshot) == {
        "model_list": tree(catalogue.snapshot())["model_list"],
        "credential_list": [{"credential_name": "c"}],
        "litellm_settings": {"fallbacks": [{"m": ["gone"]}]},
        "router_settings": router,
        "unheard_of": {"x": 1},
    }


def test_entries_that_are_no_rows_follow_the_models() -> None:
    wildcard = {"model_name": "openai/*", "litellm_params": {"model": "openai/*", "api_key": "os.environ/O"}}
    catalogue = Catalogue()
    catalogue.model(catalogue.provider(), "m")
    snapshot = with_sections(catalogue.snapshot(), model_list={"litellm_value": [wildcard]})
    assert tree(snapshot)["model_list"][-1] == wildcard
    assert rendered(snapshot).variables == (Variable("O", ("section model_list",)),)


def test_sections_and_files_of_a_tensorzero_gateway_are_named_as_left_out() -> None:
    file = Operation("config_files", "insert", "f", {"path": "a.minijinja", "content": "x"})
    snapshot = with_sections(Snapshot.empty(), metrics={"m": {}}, litellm_settings={"drop_params": True})
    snapshot = snapshot.preview([file])
    assert tree(snapshot, BESIDE) == {"model_list": [], "litellm_settings": {"drop_params": True}}
    assert omitted(snapshot, BESIDE) == [
        ("section", "metrics.m", "LiteLLM takes no feedback"),
        ("file", "a.minijinja", "it belongs to another kind of gateway"),
    ]
    assert rendered(snapshot).files["a.minijinja"] == b"x"


def test_a_function_with_the_name_of_a_model_is_left_out() -> None:
    catalogue = Catalogue()
    m = catalogue.model(catalogue.provider(), "svc_chat")
    catalogue.function()
    catalogue.mapping(m)
    snapshot = catalogue.snapshot()
    assert [entry["model_info"]["id"] for entry in tree(snapshot)["model_list"]] == [m]
    assert omitted(snapshot) == [("function", "svc_chat", "a model has this name, and LiteLLM has one list of names")]


def test_a_failure_leads_to_another_deployment_where_requests_are_shared_that_were_ordered() -> None:
    catalogue = Catalogue()
    m = catalogue.model(catalogue.provider("p", "ollama", route_by="deployments"), "m")
    assert "router_settings" not in tree(catalogue.snapshot())
    for number in range(7):
        catalogue.deployment(m, f"n{number}")
    assert tree(catalogue.snapshot())["router_settings"] == {"enable_weighted_failover": True, "max_fallbacks": 7}


def test_the_variables_are_listed_at_the_top_and_with_the_rendering() -> None:
    catalogue = Catalogue()
    catalogue.model(catalogue.provider("a", "groq", api_key_env_var="K"), "m")
    snapshot = with_sections(catalogue.snapshot(), general_settings={"master_key": "os.environ/MASTER"})
    assert rendered(snapshot).variables == (
        Variable("K", ("provider a",)),
        Variable("MASTER", ("section general_settings",)),
    )
    assert "#   K (provider a)\n#   MASTER (section general_settings)\n" in text(snapshot)


def test_what_is_left_out_is_said_in_comments_but_not_what_a_person_switched_off() -> None:
    catalogue = Catalogue()
    catalogue.model(catalogue.provider("p\u2028", "custom"), "a\u2028b: 1")
    catalogue.model(catalogue.provider("q"), "off", active=False)
    found = text(catalogue.snapshot())
    assert '# model "a\\u2028b: 1": at provider p\\u2028: LiteLLM has no name' in found
    assert "off" not in found


def test_texts_are_read_back_as_they_were() -> None:
    odd = ["on", "1_000", "0o17", "# x", "a: b", "- x", "é\U0001f600", " ", "'", '"', "x" * 300, "a\nb", "1e5", "~"]
    catalogue = Catalogue()
    catalogue.model(catalogue.provider(), "m", litellm={"model_info": {"odd": odd, "small": 1e-10, "whole": 1e22}})
    [entry] = tree(catalogue.snapshot())["model_list"]
    assert entry["model_info"]["odd"] == odd
    assert (entry["model_info"]["small"], entry["model_info"]["whole"]) == (1e-10, 1e22)


@given(drawn=catalogues(guarded=False), data=st.data())
def test_a_rendering_with_a_cache_is_the_one_without(drawn: Drawn, data: st.DataObject) -> None:
    renderer = LiteLLMRenderer()
    for snapshot in data.draw(st.permutations([Snapshot.empty(), *drawn.history])):
        gateway = data.draw(st.sampled_from([EDGE, BESIDE]))
        assert renderer.render(snapshot, gateway) == rendered(snapshot, gateway)


@given(drawn=catalogues(guarded=False))
def test_any_catalogue_is_a_configuration_in_which_groups_are_ordered_and_weighted_wholly(drawn: Drawn) -> None:
    groups: dict[str, list[dict[str, Any]]] = {}
    for entry in tree(drawn.snapshot)["model_list"]:
        groups.setdefault(entry["model_name"], []).append(entry["litellm_params"])
    for members in groups.values():
        assert len({"order" in member for member in members}) == 1
        orders = {member.get("order") for member in members}
        for order in orders:
            assert len({"weight" in member for member in members if member.get("order") == order}) == 1
        assert orders in ({None}, set(range(1, len(orders) + 1)))


def test_a_node_that_comes_changes_the_groups_of_its_models_and_functions_alone() -> None:
    catalogue = Catalogue()
    m = catalogue.model(catalogue.provider("p", "ollama", route_by="deployments"), "m")
    catalogue.function()
    catalogue.mapping(m)
    renderer, before = LiteLLMRenderer(), catalogue.snapshot()
    renderer.render(before, EDGE)
    catalogue.deployment(m, "n")
    after = before.preview(catalogue.operations[-1:])
    found = renderer.render(after, EDGE)
    assert found == rendered(after)
    bases = [e["litellm_params"]["api_base"] for e in yaml.safe_load(found.files["config.yaml"])["model_list"]]
    assert bases.count("http://n:11434") == 2


def test_free_memory_of_nodes_changes_no_byte() -> None:
    catalogue = Catalogue()
    m = catalogue.model(catalogue.provider("p", "ollama", route_by="deployments"), "m")
    nodes = [catalogue.node(name, vram_total_mb=1000) for name in ("a", "b")]
    for name in ("a", "b"):
        catalogue.deployment(m, name)
    before = catalogue.snapshot()
    after = before.preview([Operation("gpu_nodes", "update", nodes[1], {"vram_total_mb": 9000})])
    assert text(before) == text(after)
