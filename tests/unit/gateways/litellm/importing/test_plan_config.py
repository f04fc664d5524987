"""The import of LiteLLM configurations: what becomes of each construct, and that all of it comes back."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from model_registry.entities.model import Alias, Model
from model_registry.entities.provider import Provider
from model_registry.errors import AmbiguousName, Conflict, InvalidConfiguration
from model_registry.gateways.litellm.compare import compare
from support import litellm_configs
from support.litellm_imports import Registry, meant


def entry(name: str, model: str, **params: Any) -> dict[str, Any]:
    info = params.pop("info", None)
    return {"model_name": name, "litellm_params": {"model": model, **params}} | ({"model_info": info} if info else {})


def files(*entries: dict[str, Any], file: str = "config.yaml", **sections: Any) -> dict[str, str]:
    return {file: yaml.safe_dump({"model_list": list(entries), **sections})}


def imported(*entries: dict[str, Any], **sections: Any) -> Registry:
    registry = Registry.empty()
    registry.take(files(*entries, **sections))
    return registry


def only(registry: Registry) -> tuple[Model, Provider]:
    (model,), (provider,) = registry.snapshot.models, registry.snapshot.providers
    return model, provider


@pytest.mark.parametrize("name", litellm_configs.NAMES)
def test_what_goes_in_comes_out(name: str) -> None:
    registry = Registry.empty()
    given = litellm_configs.files_of(name)
    registry.take(given, skip_literal_keys=True)
    assert compare(meant(given), registry.config().tree, facts=True) == []


@pytest.mark.parametrize("name", litellm_configs.NAMES)
def test_a_second_import_writes_nothing(name: str) -> None:
    registry = Registry.empty()
    given = litellm_configs.files_of(name)
    registry.take(given, skip_literal_keys=True)
    assert registry.plan(given, skip_literal_keys=True).operations == ()


@pytest.mark.parametrize("name", litellm_configs.NAMES)
def test_what_came_out_goes_in_without_a_change(name: str) -> None:
    registry = Registry.empty()
    registry.take(litellm_configs.files_of(name), skip_literal_keys=True)
    assert registry.plan({"out.yaml": registry.text()}).operations == ()


COLUMNS: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "a hosted model": (
        entry("m", "openai/gpt-4o", api_key="os.environ/OPENAI_API_KEY"),
        {"type": "openai", "api_base": None, "api_key_env_var": "OPENAI_API_KEY", "litellm": {}},
        {"name": "m", "model_id": "gpt-4o", "routing_priority": 0},
    ),
    "a server that needs no key": (
        entry("m", "openai/org/model", api_base="http://h:8000/v1", api_key="EMPTY"),
        {"type": "openai_compatible", "api_base": "http://h:8000/v1", "api_key_env_var": None, "litellm": {}},
        {"model_id": "org/model"},
    ),
    "vLLM": (
        entry("m", "hosted_vllm/org/model", api_base="http://h:8000/v1"),
        {"type": "vllm", "api_base": "http://h:8000/v1", "litellm": {}},
        {"model_id": "org/model"},
    ),
    "Ollama": (
        entry("m", "ollama_chat/llama3:8b", api_base="http://h:11434"),
        {"type": "ollama", "api_base": "http://h:11434", "litellm": {}},
        {"model_id": "llama3:8b"},
    ),
    "Azure, with what the type has no column for": (
        entry("m", "azure/dep", api_base="https://a.azure.com", api_key="os.environ/A", api_version="2024-06-01"),
        {"type": "azure", "api_base": "https://a.azure.com", "litellm": {"api_version": "2024-06-01"}},
        {"model_id": "dep"},
    ),
    "Azure, with its address in the environment": (
        entry("m", "azure/dep", api_base="os.environ/AZURE_API_BASE", api_key="os.environ/A"),
        {"type": "azure", "api_base": None, "litellm": {"api_base": "os.environ/AZURE_API_BASE"}},
        {},
    ),
    "an address in the environment": (
        entry("m", "openai/x", api_base="os.environ/BASE", api_key="none"),
        {
            "type": "custom",
            "api_base": None,
            "litellm": {"prefix": "openai", "api_base": "os.environ/BASE", "api_key": "none"},
        },
        {},
    ),
    "a vendor that the registry has no type for": (
        entry("m", "perplexity/sonar", api_key="os.environ/P"),
        {"type": "custom", "api_key_env_var": "P", "litellm": {"prefix": "perplexity"}},
        {"model_id": "sonar", "litellm": {"model_info": {"mode": None}}},
    ),
    "a model without a prefix": (
        entry("m", "gpt-4o"),
        {"type": "openai", "api_key_env_var": None},
        {"model_id": "gpt-4o", "litellm": {"prefix": "", "model_info": {"mode": None}}},
    ),
    "a provider that is named apart": (
        entry("m", "org/model", custom_llm_provider="openai", api_base="http://h/v1", api_key="os.environ/K"),
        {"type": "openai_compatible", "litellm": {}},
        {"model_id": "org/model"},
    ),
    "another way to ask": (entry("m", "openai/responses/gpt-5"), {"type": "openai"}, {"model_id": "gpt-5"}),
    "Bedrock": (
        entry("m", "bedrock/x:0", aws_region_name="eu-west-1", aws_access_key_id="os.environ/ID"),
        {"type": "aws_bedrock", "tensorzero": {"region": "eu-west-1", "access_key_id": "env::ID"}, "litellm": {}},
        {"model_id": "x:0"},
    ),
    "Vertex": (
        entry("m", "vertex_ai/gemini-2", vertex_project="p", vertex_location="l"),
        {"type": "gcp_vertex_gemini", "tensorzero": {"project_id": "p", "location": "l"}},
        {"model_id": "gemini-2"},
    ),
    "a shared credential": (
        entry("m", "azure/x", litellm_credential_name="main"),
        {"type": "custom", "name": "azure-main", "litellm": {"prefix": "azure", "litellm_credential_name": "main"}},
        {},
    ),
    "a variable as templates write it": (entry("m", "openai/x", api_key="${KEY}"), {"api_key_env_var": "KEY"}, {}),
    "facts": (
        entry("m", "openai/x", info={"mode": "embedding", "max_input_tokens": 8191, "input_cost_per_token": 2e-8}),
        {},
        {
            "model_type": "embedding",
            "context_length": 8191,
            "card": {"cost_per_1m_input_tokens": 0.02},
            "litellm": {},
        },
    ),
    "abilities": (
        entry("m", "openai/x", info={"supports_vision": True, "supports_function_calling": False}),
        {},
        {"capabilities": ["vision"], "litellm": {"model_info": {"supports_function_calling": False, "mode": None}}},
    ),
    "everything else": (
        entry("m", "openai/x", rpm=5, extra_body={"a": [1]}, info={"mode": "chat", "own": {"b": None}}),
        {"litellm": {}},
        {"litellm": {"litellm_params": {"rpm": 5, "extra_body": {"a": [1]}}, "model_info": {"own": {"b": None}}}},
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", COLUMNS)
def test_an_entry_becomes_a_row_at_its_provider(case: str) -> None:
    given, of_provider, of_model = COLUMNS[case]
    model, provider = only(imported(given))
    assert {key: getattr(provider, key) for key in of_provider} == of_provider
    assert {key: getattr(model, key) for key in of_model} == of_model


def test_deployments_of_a_group_are_alike_or_in_order() -> None:
    registry = imported(
        entry("alike", "openai/a"), entry("alike", "openai/b", weight=3), entry("alike", "anthropic/c"),
        entry("ordered", "openai/a", order=5), entry("ordered", "openai/b"), entry("ordered", "anthropic/c", order=2),
    )  # fmt: skip
    priorities = {
        name: [(row.model_id, row.routing_priority) for row in registry.snapshot.models.where("name", name)]
        for name in ("alike", "ordered")
    }
    assert sorted(priorities["alike"]) == [("a", 0), ("b", 0), ("c", 0)]
    assert sorted(priorities["ordered"]) == [("a", 1), ("b", 2), ("c", 0)]
    groups = [(e.model_name, e.params.get("order"), e.params.get("weight")) for e in registry.config().entries]
    assert [group for group in groups if group[0] == "alike"] == [("alike", None, None)] * 2 + [("alike", None, 3)]
    assert {group[1] for group in groups if group[0] == "ordered"} == {1, 2, 3}


KEPT = {
    "a wildcard": entry("openai/*", "openai/*", api_key="os.environ/K"),
    "everything": entry("*", "*"),
    "a model from the environment": entry("m", "os.environ/MODEL"),
    "a router": entry("auto", "auto_router/x", auto_router_default_model="m"),
    "a mode that the catalogue does not have": entry("v", "openai/sora", info={"mode": "video_generation"}),
    "a name that is too long": entry("m" * 301, "openai/x"),
    "a name that TensorZero keeps": entry("openai::gpt-4o", "openai/gpt-4o"),
    "no model": entry("m", "openai/"),
}


@pytest.mark.parametrize("case", KEPT)
def test_what_is_no_model_is_kept_as_it_is(case: str) -> None:
    registry = Registry.empty()
    plan = registry.take(files(KEPT[case]))
    assert list(registry.snapshot.models) == []
    assert registry.config().tree["model_list"] == [KEPT[case]]
    assert [e.kind for e in plan.report if e.action == "normalised"] == ["entry"]


def test_wildcards_are_expanded_on_request_and_stay() -> None:
    registry = Registry.empty()
    given = files(entry("openai/*", "openai/*", api_key="os.environ/K", rpm=5), entry("openai/b", "openai/own"))
    registry.take(given, wildcards={"openai/*": ["a", "b"], "unknown/*": ["c"]})
    assert {(row.name, row.model_id) for row in registry.snapshot.models} == {("openai/a", "a"), ("openai/b", "own")}
    found = {e.model_name: e.params for e in registry.config().entries}
    assert found["openai/a"] == {"model": "openai/a", "api_key": "os.environ/K", "rpm": 5}
    assert found["openai/*"] == {"model": "openai/*", "api_key": "os.environ/K", "rpm": 5}


def keyed(name: str, model: str, **params: Any) -> dict[str, Any]:
    return {"entries": [entry(name, model, **params)]}


CREDENTIAL = {"credential_name": "c", "credential_values": {"api_key": "sk-1"}}
DATABASE = "postgresql://u:hunter2hunter2@h/d"
LITERAL: dict[str, tuple[dict[str, Any], str, str]] = {
    "a key": (keyed("m", "openai/x", api_key="sk-1234"), "OPENAI_API_KEY", "model_list.0.litellm_params.api_key"),
    "a word in its place": (keyed("m", "anthropic/x", api_key="your-key"), "ANTHROPIC_API_KEY", "api_key"),
    "a key of a server": (
        keyed("my-model", "openai/x", api_base="http://h/v1", api_key="abc"),
        "MY_MODEL_API_KEY",
        "api_key",
    ),
    "a key of Gemini": (keyed("m", "gemini/x", api_key="abc"), "GEMINI_API_KEY", "api_key"),
    "the master key": ({"general_settings": {"master_key": "sk-1234"}}, "LITELLM_MASTER_KEY", "master_key"),
    "a database": ({"general_settings": {"database_url": DATABASE}}, "DATABASE_URL", "database_url"),
    "a password": ({"router_settings": {"redis_password": "hunter2hunter2"}}, "REDIS_PASSWORD", "redis_password"),
    "a credential": ({"credential_list": [CREDENTIAL]}, "API_KEY", "credential_list.0"),
    "a variable's value": ({"environment_variables": {"MY_API_KEY": "sk-1"}}, "MY_API_KEY", "MY_API_KEY"),
}


@pytest.mark.parametrize("case", LITERAL)
def test_keys_are_named_and_not_stored(case: str) -> None:
    sections, variable, where = LITERAL[case]
    given = files(*sections.get("entries", ()), **{k: v for k, v in sections.items() if k != "entries"})
    registry = Registry.empty()
    with pytest.raises(InvalidConfiguration) as caught:
        registry.plan(given)
    (reason,) = caught.value.reasons
    assert "config.yaml: line" in reason.where
    assert where in reason.where
    assert f"os.environ/{variable}" in reason.message
    assert "--skip-literal-keys" in caught.value.message
    plan = registry.take(given, skip_literal_keys=True)
    assert [variable in e.detail for e in plan.report if e.kind == "key"] == [True]
    assert f"os.environ/{variable}" in registry.text()
    for secret in ("sk-1", "your-key", "abc\n", "hunter2", "sk-proj"):
        assert secret not in registry.text()


def test_different_keys_get_different_variables() -> None:
    registry = Registry.empty()
    keys = ["sk-1", "sk-2", "sk-1", "os.environ/OPENAI_API_KEY_2"]
    given = files(*(entry(f"m{n}", "openai/x", api_key=key) for n, key in enumerate(keys)))
    registry.take(given, skip_literal_keys=True)
    variables = [e.params["api_key"].removeprefix("os.environ/") for e in registry.config().entries]
    assert variables == ["OPENAI_API_KEY", "OPENAI_API_KEY_3", "OPENAI_API_KEY", "OPENAI_API_KEY_2"]


def test_aliases_become_rows_where_rows_can_say_them() -> None:
    aliases = {
        "a": "m",
        "b": {"model": "m", "hidden": False},
        "c": {"model": "m", "hidden": True},
        "d": "nothing",
        "m": "m",
    }
    registry = imported(entry("m", "openai/x"), router_settings={"model_group_alias": aliases, "num_retries": 1})
    assert {(row.alias, row.context) for row in registry.snapshot.aliases} == {("a", "litellm"), ("b", "litellm")}
    (section,) = registry.snapshot.sections
    assert section.value == {"model_group_alias": {k: aliases[k] for k in "cdm"}, "num_retries": 1}
    assert compare({"router_settings": {"model_group_alias": aliases, "num_retries": 1}}, {
        "router_settings": registry.config().tree["router_settings"]}) == []  # fmt: skip


def test_the_gateway_is_the_named_one_or_the_only_one_or_a_new_one() -> None:
    registry = Registry.empty()
    registry.take(files(entry("m", "openai/x"), file="edge.config.yaml"))
    assert registry.gateway().name == "edge"
    assert registry.gateway().providers == ["openai"]
    registry.take(files(entry("n", "anthropic/x"), file="other.yaml"))
    assert registry.gateway().providers == ["anthropic", "openai"]
    registry.take(files(entry("n", "anthropic/x")), gateway="second")
    assert registry.gateway("second").providers == ["anthropic"]
    with pytest.raises(AmbiguousName) as caught:
        registry.plan(files(entry("n", "anthropic/x")))
    assert caught.value.data["matches"] == ["edge", "second"]


@pytest.mark.parametrize("column", ["kind", "content_of"])
def test_a_gateway_of_another_kind_is_refused(column: str) -> None:
    registry = imported(entry("m", "openai/x"))
    row = registry.gateway()
    other = row.model_copy(update={column: "tensorzero"})
    registry.snapshot = registry.snapshot.with_rows({"gateways": [(row.id, other)]})
    with pytest.raises(Conflict, match="tensorzero"):
        registry.plan(files(entry("m", "openai/x")), gateway=row.name)


def test_what_the_registry_has_of_a_group_besides_comes_behind() -> None:
    registry = imported(entry("m", "openai/x"), entry("n", "anthropic/y"))
    plan = registry.take(files(entry("m", "anthropic/y")))
    rows = {row.model_id: row.routing_priority for row in registry.snapshot.models.where("name", "m")}
    assert rows == {"y": 0, "x": 1}
    assert [e.name for e in plan.report if e.action == "warning"] == ["m on openai"]


def test_rows_that_fit_are_used_whatever_their_names() -> None:
    registry = imported(entry("m", "openai/x", api_key="os.environ/K", organization="o"))
    (provider,) = registry.snapshot.providers
    renamed = provider.model_copy(update={"name": "ours"})
    registry.snapshot = registry.snapshot.with_rows({"model_providers": [(provider.id, renamed)]})
    gateway = registry.gateway()
    known = gateway.model_copy(update={"providers": ["ours"]})
    registry.snapshot = registry.snapshot.with_rows({"gateways": [(gateway.id, known)]})
    registry.take(files(entry("n", "openai/y", api_key="os.environ/K", organization="o")))
    assert {row.provider_id for row in registry.snapshot.models} == {provider.id}
    registry.take(files(entry("o", "openai/y", api_key="os.environ/K")))
    assert len(list(registry.snapshot.providers)) == 2


def test_a_new_gateway_gets_nothing_that_its_configuration_lacks() -> None:
    registry = imported(entry("m", "openai/x"), entry("n", "openai/y"))
    registry.take(files(entry("m", "openai/x")), gateway="second")
    assert [e.model_name for e in registry.config("second").entries] == ["m"]
    assert len(list(registry.snapshot.providers)) == 2


def test_what_people_know_of_a_model_stays() -> None:
    registry = imported(entry("m", "openai/x"))
    (row,) = registry.snapshot.models
    known = row.model_copy(
        update={"capabilities": ["reasoning"], "description": "ours", "context_length": 5, "model_type": "vl"}
    )
    registry.snapshot = registry.snapshot.with_rows({"models": [(row.id, known)]})
    registry.take(files(entry("m", "openai/x", rpm=1, info={"mode": "chat", "supports_vision": True})))
    (row,) = registry.snapshot.models
    assert (row.capabilities, row.description, row.context_length, row.model_type) == (
        ["reasoning", "vision"],
        "ours",
        5,
        "vl",
    )


def test_a_changed_price_changes_the_card() -> None:
    registry = imported(entry("m", "openai/x", info={"input_cost_per_token": 1e-6, "output_cost_per_token": 3e-6}))
    registry.take(files(entry("m", "openai/x", info={"input_cost_per_token": 2e-6, "output_cost_per_token": 3e-6})))
    (row,) = registry.snapshot.models
    assert row.card == {"cost_per_1m_input_tokens": 2.0, "cost_per_1m_output_tokens": 3.0}
    assert "model_info" not in row.litellm or "input_cost_per_token" not in row.litellm["model_info"]


def test_sections_are_replaced_one_by_one() -> None:
    registry = imported(litellm_settings={"a": 1}, general_settings={"b": 1}, guardrails=[1])
    registry.take(files(litellm_settings={"c": 2}, guardrails=[]))
    assert {row.name: row.value for row in registry.snapshot.sections} == {
        "litellm_settings": {"c": 2},
        "general_settings": {"b": 1},
    }
    assert {row.gateway for row in registry.snapshot.sections} == {"config"}


def test_the_database_of_litellm_is_named_as_out_of_scope() -> None:
    plan = Registry.empty().plan(files(general_settings={"database_url": "os.environ/DATABASE_URL"}))
    assert [e.name for e in plan.report if e.action == "ignored"] == ["general_settings.database_url"]


def test_a_provider_that_waits_for_its_key_is_in_a_new_gateway() -> None:
    registry = imported(entry("m", "openai/x", api_key="os.environ/OPENAI_API_KEY"))
    (provider,) = registry.snapshot.providers
    waiting = provider.model_copy(update={"only_with_key": True})
    registry.snapshot = registry.snapshot.with_rows({"model_providers": [(provider.id, waiting)]})
    given = files(
        entry("m", "openai/x", api_key="os.environ/OPENAI_API_KEY"),
        general_settings={"master_key": "os.environ/MASTER_KEY", "database_url": "os.environ/no variable"},
    )
    registry.take(given, gateway="new")
    assert registry.gateway("new").environment == ["MASTER_KEY", "OPENAI_API_KEY"]
    plan = registry.plan(given, gateway="config")
    assert [
        (e.name, "gateways env config --add OPENAI_API_KEY" in e.detail) for e in plan.report if e.action == "warning"
    ] == [("openai", True)]
    assert registry.gateway("config").environment is None


def test_a_group_in_an_order_is_kept_whole_with_an_entry_that_is_no_model() -> None:
    group = [entry("m", "openai/a", order=1), entry("m", "os.environ/MODEL", order=2)]
    registry = imported(*group)
    assert list(registry.snapshot.models) == []
    assert registry.config().tree["model_list"] == group
    registry = imported(entry("m", "openai/a"), entry("m", "os.environ/MODEL"))
    assert [row.model_id for row in registry.snapshot.models] == ["a"]


def test_nearly_equal_deployments_keep_their_rows() -> None:
    registry = Registry.empty()
    same_id = {"id": "one"}
    given = files(entry("m", "openai/a", rpm=1, info=same_id), entry("m", "openai/a", rpm=2, info=same_id, order=4))
    registry.take(given)
    assert registry.plan(given).operations == ()
    assert registry.plan({"out.yaml": registry.text()}).operations == ()


def test_a_group_whose_name_is_an_alias_is_kept_as_it_is() -> None:
    registry = imported(entry("ours", "openai/x"))
    (model,) = registry.snapshot.models
    alias = Alias(id="alias", model_id=model.id, alias="fast", context="default")
    registry.snapshot = registry.snapshot.with_rows({"model_aliases": [(alias.id, alias)]})
    plan = registry.take(files(entry("fast", "openai/y"), router_settings={"model_group_alias": {"quick": "fast"}}))
    assert {row.name for row in registry.snapshot.models} == {"ours"}
    assert ["is an alias of ours" in e.detail for e in plan.report if e.kind == "entry"] == [True]
    tree = registry.config().tree
    assert [item for item in tree["model_list"] if item["model_name"] == "fast"] == [entry("fast", "openai/y")]
    assert tree["router_settings"]["model_group_alias"] == {"quick": "fast"}


@pytest.mark.parametrize(
    ("there", "given"), [("https://api.openai.com/v1", None), (None, "https://api.openai.com/v1/")]
)
def test_the_vendors_own_address_is_the_same_account_stated_or_not(there: str | None, given: str | None) -> None:
    registry = imported(entry("ours", "openai/x", api_key="os.environ/K"))
    (provider,) = registry.snapshot.providers
    stated = provider.model_copy(update={"api_base": there})
    registry.snapshot = registry.snapshot.with_rows({"model_providers": [(provider.id, stated)]})
    own = entry("m", "openai/y", api_key="os.environ/K", **({"api_base": given} if given else {}))
    registry.take(files(own))
    assert len(list(registry.snapshot.providers)) == 1
    assert {e.model_name: e.params for e in registry.config().entries}["m"] == own["litellm_params"]


def test_a_group_of_another_gateway_does_not_change_unasked() -> None:
    registry = imported(entry("m", "openai/x"), entry("n", "anthropic/y"))
    before = registry.config("config").tree
    registry.take(files(entry("m", "openai/other")), gateway="second")
    assert registry.config("config").tree == before
    gateway = registry.gateway("config")
    all_of_it = gateway.model_copy(update={"providers": None})
    registry.snapshot = registry.snapshot.with_rows({"gateways": [(gateway.id, all_of_it)]})
    with pytest.raises(Conflict, match="--on-conflict overwrite") as caught:
        registry.plan(files(entry("m", "openai/third")), gateway="third")
    assert "gateway config: m" in {reason.where for reason in caught.value.reasons}
    plan = registry.take(files(entry("m", "openai/third")), gateway="third", overwrite=True)
    assert "gateway config: m" in {e.name for e in plan.report if e.action == "warning"}


def test_gateways_of_one_registry_do_not_touch_each_other() -> None:
    registry = Registry.empty()
    refused = []
    for name in litellm_configs.NAMES:
        try:
            registry.take(litellm_configs.files_of(name), gateway=name, skip_literal_keys=True)
        except Conflict as error:
            refused.append((name, str(error.reasons[0])))
    gateways = {row.name for row in registry.snapshot.gateways}
    assert len(gateways) + len(refused) == len(litellm_configs.NAMES)
    assert refused == []
    for name in gateways:
        assert compare(meant(litellm_configs.files_of(name)), registry.config(name).tree, facts=True) == [], name


def test_no_name_of_a_provider_makes_a_secret_of_its_neighbour() -> None:
    registry = imported(entry("m", "gemini/x", api_key="os.environ/GEMINI_API_KEY"))
    given = files(
        entry("a", "gemini/x", api_key="os.environ/GEMINI_API_KEY"), entry("b", "groq/y", api_key="os.environ/G_KEY")
    )
    registry.take(given, gateway="second")
    assert registry.gateway("second").providers == ["google_ai_studio_gemini-gemini", "groq"]
