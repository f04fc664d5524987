"""Model groups: which deployments there are, in which order and with which shares, and how each is asked."""

from __future__ import annotations

from typing import Any

import pytest

from model_registry.entities.change import Operation
from model_registry.entities.gateway import Gateway
from model_registry.entities.provider_types import PROVIDER_TYPES
from model_registry.gateways.litellm.rendering.groups import model_group
from model_registry.gateways.scope import scoped
from support.catalogues import Catalogue

OWN = "http://own.example:11434"


def entries(catalogue: Catalogue, name: str = "m") -> list[dict[str, Any]]:
    return model_group(catalogue.snapshot(), name).entries()


def params(catalogue: Catalogue, name: str = "m") -> list[dict[str, Any]]:
    return [entry["litellm_params"] for entry in entries(catalogue, name)]


def reasons(catalogue: Catalogue, name: str = "m") -> list[str]:
    return [omission.reason for omission in model_group(catalogue.snapshot(), name).omissions]


def test_a_hosted_model_has_its_prefix_and_the_name_of_its_key() -> None:
    catalogue = Catalogue()
    provider = catalogue.provider("groq", "groq", api_key_env_var="GROQ_KEY")
    m = catalogue.model(
        provider, "m", capabilities=["function_calling"], context_length=4096, cost_per_1m_input_tokens=0.15
    )
    assert entries(catalogue) == [
        {
            "model_name": "m",
            "litellm_params": {"model": "groq/m-id", "api_key": "os.environ/GROQ_KEY"},
            "model_info": {
                "id": m,
                "mode": "chat",
                "max_input_tokens": 4096,
                "input_cost_per_token": 1.5e-07,
                "supports_function_calling": True,
            },
        }
    ]


@pytest.mark.parametrize(
    ("kind", "model_type", "expected"),
    [
        ("openai_compatible", "chat", {"model": "openai/m-id", "api_base": "http://h/v1", "api_key": "none"}),
        ("openai_compatible", "reranker", {"model": "hosted_vllm/m-id", "api_base": "http://h/v1"}),
        ("vllm", "chat", {"model": "hosted_vllm/m-id", "api_base": "http://h/v1"}),
        ("vllm", "audio", {"model": "openai/m-id", "api_base": "http://h/v1", "api_key": "none"}),
        ("ollama", "chat", {"model": "ollama_chat/m-id", "api_base": "http://h"}),
        ("ollama", "embedding", {"model": "ollama/m-id", "api_base": "http://h"}),
        ("anthropic", "chat", {"model": "anthropic/m-id", "api_base": "http://h"}),
        ("azure", "embedding", {"model": "azure/m-id", "api_base": "http://h/v1"}),
    ],
)
def test_a_server_is_asked_in_its_own_way(kind: str, model_type: str, expected: dict[str, Any]) -> None:
    catalogue = Catalogue()
    catalogue.model(catalogue.provider("p", kind, api_base="http://h/v1"), "m", model_type=model_type)
    assert params(catalogue) == [expected]


def test_what_clouds_need_is_translated() -> None:
    catalogue = Catalogue()
    keys = {"region": "eu-west-1", "access_key_id": "env::AWS_ID", "secret_access_key": "sdk"}
    catalogue.model(catalogue.provider("aws", "aws_bedrock", tensorzero=keys), "m")
    vertex = {"location": "eu", "project_id": "p"}
    catalogue.model(catalogue.provider("gcp", "gcp_vertex_gemini", tensorzero=vertex), "g")
    assert params(catalogue) == [
        {"model": "bedrock/m-id", "aws_region_name": "eu-west-1", "aws_access_key_id": "os.environ/AWS_ID"}
    ]
    assert params(catalogue, "g") == [
        {
            "model": "vertex_ai/g-id",
            "vertex_credentials": "os.environ/GCP_VERTEX_CREDENTIALS_PATH",
            "vertex_location": "eu",
            "vertex_project": "p",
        }
    ]


def test_extra_keys_of_tensorzero_are_said_as_litellm_says_them_or_named() -> None:
    catalogue = Catalogue()
    extras = {
        "temperature": 0.5,
        "stop_sequences": ["x"],
        "extra_headers": [{"name": "X-A", "value": "1"}],
        "extra_body": [{"pointer": "/a/b", "value": True}],
        "timeouts": {"non_streaming": {"total_ms": 1500}, "streaming": {"ttft_ms": 500}},
        "thinking_budget": 7,
    }
    catalogue.model(catalogue.provider("p", "groq", api_key_env_var="K"), "m", tensorzero={"provider": extras})
    [found] = params(catalogue)
    assert (
        found
        | {
            "temperature": 0.5,
            "stop": ["x"],
            "extra_headers": {"X-A": "1"},
            "extra_body": {"a": {"b": True}},
            "timeout": 1.5,
            "stream_timeout": 0.5,
        }
        == found
    )
    assert reasons(catalogue) == ["at provider p: TensorZero's key thinking_budget has no counterpart in LiteLLM"]


def test_columns_of_litellm_are_laid_over_what_is_derived_and_null_removes() -> None:
    catalogue = Catalogue()
    own = {"prefix": "perplexity", "organization": "o", "api_key": None}
    provider = catalogue.provider("p", "groq", api_key_env_var="K", litellm=own)
    column = {"litellm_params": {"rpm": 3}, "model_info": {"id": None, "mode": "responses"}, "tpm": 9}
    catalogue.model(provider, "m", litellm=column)
    assert entries(catalogue) == [
        {
            "model_name": "m",
            "litellm_params": {"model": "perplexity/m-id", "organization": "o", "rpm": 3},
            "model_info": {"mode": "responses"},
            "tpm": 9,
        }
    ]


def test_rows_of_one_priority_share_and_have_no_order() -> None:
    catalogue = Catalogue()
    for name in ("a", "b"):
        catalogue.model(catalogue.provider(name), "m")
    assert [("order" in found, "weight" in found) for found in params(catalogue)] == [(False, False)] * 2


def test_all_rows_have_an_order_where_priorities_differ() -> None:
    catalogue = Catalogue()
    for name, priority in (("a", 7), ("b", 0), ("c", 7), ("d", -3)):
        catalogue.model(catalogue.provider(name, api_base=f"http://{name}/v1"), "m", routing_priority=priority)
    ordered = [(found["api_base"], found["order"]) for found in params(catalogue)]
    assert ordered == [("http://d/v1", 1), ("http://b/v1", 2), ("http://a/v1", 3), ("http://c/v1", 3)]


def test_limits_a_minute_are_written_for_all_of_a_group_or_none() -> None:
    catalogue = Catalogue()
    catalogue.model(catalogue.provider("a"), "m", rate_limit_rpm=5, rate_limit_tpm=100)
    catalogue.model(catalogue.provider("b"), "m", rate_limit_tpm=200)
    assert [(found.get("rpm"), found.get("tpm")) for found in params(catalogue)] == [(None, 100), (None, 200)]


def routed(catalogue: Catalogue, **columns: Any) -> str:
    provider = catalogue.provider("p", "ollama", api_base=OWN, route_by="deployments", **columns)
    return catalogue.model(provider, "m")


def test_live_nodes_share_in_an_order_that_memory_does_not_change_and_the_own_address_is_the_last_resort() -> None:
    catalogue = Catalogue()
    m = routed(catalogue)
    for node, total in (("b", 8_000), ("a", 8_000), ("c", 24_000)):
        catalogue.node(node, vram_total_mb=total)
        catalogue.deployment(m, node)
    catalogue.deployment(m, "lost", status="lost")
    found = [
        (e["model_info"]["id"], e["litellm_params"]["api_base"], e["litellm_params"]["weight"])
        for e in entries(catalogue)
    ]
    assert found == [
        (f"{m}@a", "http://a:11434", 1),
        (f"{m}@b", "http://b:11434", 1),
        (f"{m}@c", "http://c:11434", 1),
        (m, OWN, 0),
    ]
    assert all("order" not in one for one in params(catalogue))


def test_a_provider_behind_smg_is_asked_at_its_address_by_openais_protocol_whatever_nodes_there_are() -> None:
    catalogue = Catalogue()
    m = catalogue.model(catalogue.provider("p", "ollama", api_base=OWN, route_by="gateway:smg"), "m")
    catalogue.deployment(m, "n")
    smg = {"name": "smg", "kind": "smg", "settings": {"address": "http://smg:30000/v1"}}
    snapshot = catalogue.snapshot().preview([Operation("gateways", "insert", "g", smg)])
    carried = scoped(snapshot, Gateway(id="e", name="edge", kind="litellm", content_of="edge"))
    [entry] = model_group(carried, "m").entries()
    assert entry["litellm_params"] == {"model": "openai/m-id", "api_base": "http://smg:30000/v1", "api_key": "none"}


def test_without_live_nodes_the_own_address_is_asked_as_ever() -> None:
    catalogue = Catalogue()
    routed(catalogue)
    assert params(catalogue) == [{"model": "ollama_chat/m-id", "api_base": OWN}]


def test_a_node_with_another_server_than_ollama_is_asked_by_openais_protocol() -> None:
    catalogue = Catalogue()
    m = routed(catalogue)
    catalogue.deployment(m, "n", provider_type="vllm", announced_model="org/m", endpoint="http://n:8000")
    [at_node, _] = params(catalogue)
    assert at_node == {"model": "openai/org/m", "api_base": "http://n:8000/v1", "api_key": "none", "weight": 1}


@pytest.mark.parametrize(
    ("columns", "model", "reason"),
    [
        ({"type": "custom"}, {}, "LiteLLM has no name for providers of type custom"),
        ({"active": False}, {}, "its provider p is not active"),
        ({}, {"active": False}, "it is not active"),
        ({}, {"model_type": "other"}, "LiteLLM has no models of type other"),
        ({"type": "groq"}, {"model_type": "reranker"}, "LiteLLM asks no provider of type groq to rerank"),
        ({"type": "vllm", "api_base": None}, {}, "provider p has no api_base, and LiteLLM needs one for type vllm"),
    ],
)
def test_what_litellm_cannot_ask_is_left_out_with_the_reason(
    columns: dict[str, Any], model: dict[str, Any], reason: str
) -> None:
    catalogue = Catalogue()
    catalogue.model(catalogue.provider("p", **columns), "m", **model)
    assert entries(catalogue) == []
    assert reasons(catalogue) == [f"at provider p: {reason}"]


def test_prices_without_a_key_are_named() -> None:
    catalogue = Catalogue()
    price = {"of": "input_tokens", "per_million": "0.1", "tier": "off_peak"}
    catalogue.model(catalogue.provider(), "m", further_prices=[price])
    assert reasons(catalogue) == ["LiteLLM has no place for the prices of input_tokens off_peak"]


def test_the_variables_that_a_group_needs_are_named_also_those_that_litellm_reads_by_itself() -> None:
    catalogue = Catalogue()
    catalogue.model(catalogue.provider("a", "openai", api_key_env_var="MINE"), "m")
    catalogue.model(catalogue.provider("b", "groq"), "m")
    catalogue.model(catalogue.provider("c"), "m")
    named = sorted(model_group(catalogue.snapshot(), "m").variables())
    assert named == [("GROQ_API_KEY", "provider b"), ("MINE", "provider a")]


def test_every_type_that_litellm_has_a_name_for_has_an_entry() -> None:
    for kind in PROVIDER_TYPES.values():
        catalogue = Catalogue()
        catalogue.model(catalogue.provider("p", kind.name), "m")
        assert bool(entries(catalogue)) == (kind.litellm is not None), kind.name
