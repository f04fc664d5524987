"""What the `model` of a request means, and where requests for it go."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_registry.catalog.views import deployed_models, service_models
from model_registry.entities.change import Operation
from model_registry.entities.openai_paths import OPENAI_PATHS
from model_registry.errors import ModelNotFound, NoInstance, ProtocolUnsupported
from model_registry.services.dispatch.language_routes import Conditions, Route, route_of
from model_registry.services.dispatch.provider_keys import ProviderKeys
from model_registry.snapshot.snapshot import Snapshot
from support.catalogues import Catalogue

NOW = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
KEYS = {"OPENAI_API_KEY": "sk-1", "OTHER_KEY": "sk-2"}


def route(snapshot: Snapshot, asked: str, path: str = "/v1/chat/completions", **conditions: Any) -> Route:
    given_conditions = {"keys": ProviderKeys(KEYS), "now": NOW.timestamp(), **conditions}
    return route_of(snapshot, asked, OPENAI_PATHS[path].model_types, Conditions(**given_conditions))


def places(found: Route) -> list[tuple[int, str, str | None]]:
    """Tier, base URL, and the model's name there."""
    return [(target.tier, target.url, target.model) for target in found.targets]


def refusal(found: Route) -> str:
    assert not found.targets
    return str(found.refusal().reasons)


def test_a_models_name_an_alias_and_the_providers_name_mean_its_row() -> None:
    catalogue = Catalogue()
    m = catalogue.model(catalogue.provider("p"), "qwen", model_id="Qwen/Qwen3-8B")
    catalogue.alias(m, "fast")
    snapshot = catalogue.snapshot()

    for asked in ("qwen", "fast", "p/qwen", "Qwen/Qwen3-8B", "p/Qwen/Qwen3-8B"):
        assert places(route(snapshot, asked)) == [(0, "http://openai-compatible.example/v1", "Qwen/Qwen3-8B")]
        assert route(snapshot, asked).names == (asked, "qwen") if asked != "qwen" else ("qwen", "qwen")


def test_a_name_at_several_providers_is_tried_in_their_order_and_provider_name_at_that_one() -> None:
    catalogue = Catalogue()
    for place, name in ((2, "last"), (1, "first"), (2, "beside")):
        provider = catalogue.provider(name, api_base=f"http://{name}.example/v1")
        catalogue.model(provider, "m", routing_priority=place)
    snapshot = catalogue.snapshot()

    order = [(0, "http://first.example/v1"), (1, "http://beside.example/v1"), (2, "http://last.example/v1")]
    assert [place[:2] for place in places(route(snapshot, "m"))] == order
    assert [place[:2] for place in places(route(snapshot, "last/m"))] == [(0, "http://last.example/v1")]


def test_an_alias_of_one_gateway_or_service_alone_is_no_name() -> None:
    catalogue = Catalogue()
    m = catalogue.model(catalogue.provider(), "m")
    catalogue.alias(m, "everywhere", "tensorzero")
    catalogue.alias(m, "of_one_service", "agent_zero")
    snapshot = catalogue.snapshot()

    assert route(snapshot, "everywhere").targets
    with pytest.raises(ModelNotFound, match="no model 'of_one_service'"):
        route(snapshot, "of_one_service")


def test_a_model_comes_before_a_service_of_its_name() -> None:
    catalogue = Catalogue()
    provider = catalogue.provider()
    catalogue.model(provider, "svc", model_id="the-model")
    catalogue.mapping(catalogue.model(provider, "mapped"))

    assert [t.model for t in route(catalogue.snapshot(), "svc").targets] == ["the-model"]


def test_a_service_is_found_in_another_spelling_and_is_named_as_it_is() -> None:
    catalogue = Catalogue()
    catalogue.mapping(catalogue.model(catalogue.provider()), service_name="agent_zero")

    assert route(catalogue.snapshot(), "agent-zero/chat").names == ("agent_zero/chat", "agent_zero")
    assert route(catalogue.snapshot(), "Agent-Zero").names == ("agent_zero",)


def test_an_unknown_name_suggests_the_nearest() -> None:
    catalogue = Catalogue()
    catalogue.mapping(catalogue.model(catalogue.provider(), "qwen3_8b"))

    with pytest.raises(ModelNotFound, match="Did you mean 'qwen3_8b'"):
        route(catalogue.snapshot(), "qwen3-8b")
    with pytest.raises(ModelNotFound, match="Did you mean 'svc/chat'"):
        route(catalogue.snapshot(), "svc/chats")


@pytest.mark.parametrize(
    ("columns", "reason"),
    [({"active": False}, "at p it is not active"), ({"status": "deprecated"}, "at p its status is deprecated")],
)
def test_what_is_not_offered_is_not_found_and_says_why(columns: dict[str, Any], reason: str) -> None:
    catalogue = Catalogue()
    catalogue.mapping(catalogue.model(catalogue.provider("p"), "m", **columns))
    snapshot = catalogue.snapshot()

    for asked in ("m", "p/m", "svc/chat", "svc"):
        with pytest.raises(ModelNotFound, match=f"{asked}' is not offered: {reason}"):
            route(snapshot, asked)


def test_nor_is_a_model_of_a_provider_that_is_switched_off() -> None:
    catalogue = Catalogue()
    catalogue.model(catalogue.provider("p", active=False), "m")

    with pytest.raises(ModelNotFound, match="its provider p is not active"):
        route(catalogue.snapshot(), "m")


def test_several_models_under_one_name_of_a_provider_are_not_allowed_because_one_is() -> None:
    catalogue = Catalogue()
    catalogue.model(catalogue.provider("p"), "allowed", model_id="m")
    catalogue.model(catalogue.provider("q"), "other", model_id="m")

    assert route(catalogue.snapshot(), "m").names == ("m",)


def test_priority_is_the_order_weight_the_share_and_a_model_that_stands_in_comes_last() -> None:
    catalogue = Catalogue()
    provider = catalogue.provider()
    a, b, c, d, e = (catalogue.model(provider, name) for name in "abcde")
    catalogue.mapping(a, "a", priority=1, weight=3, fallback_model_id=d)
    catalogue.mapping(b, "b", priority=1, weight=1)
    catalogue.mapping(e, "e", priority=1, weight=0)
    catalogue.mapping(c, "c", priority=2, fallback_model_id=a)

    found = route(catalogue.snapshot(), "svc/chat")

    assert [(t.tier, t.model, t.weight) for t in found.targets] == [
        (0, "a-id", 3.0),
        (0, "b-id", 1.0),
        (1, "e-id", 1.0),
        (2, "c-id", 1.0),
        (3, "d-id", 1.0),
    ]
    assert found.strategy == "weighted"


def test_a_model_twice_at_one_priority_has_both_shares() -> None:
    catalogue = Catalogue()
    provider = catalogue.provider()
    a, b = catalogue.model(provider, "a"), catalogue.model(provider, "b")
    catalogue.mapping(a, "cold", weight=1)
    catalogue.mapping(b, "other", weight=2)
    catalogue.mapping(a, "warm", weight=4)

    assert {t.model: t.weight for t in route(catalogue.snapshot(), "svc/chat").targets} == {"a-id": 5, "b-id": 2}


def test_one_model_alone_has_the_least_loaded_of_its_nodes() -> None:
    catalogue = Catalogue()
    catalogue.mapping(catalogue.model(catalogue.provider()))

    assert route(catalogue.snapshot(), "svc/chat").strategy == "least_loaded"


def test_of_a_service_those_models_are_asked_that_answer_such_requests() -> None:
    catalogue = Catalogue()
    provider = catalogue.provider()
    catalogue.mapping(catalogue.model(provider, "talks"), "v", priority=2)
    catalogue.mapping(catalogue.model(provider, "embeds", model_type="embedding"), "w", function_name="embed")
    snapshot = catalogue.snapshot()

    assert [t.model for t in route(snapshot, "svc").targets] == ["talks-id"]
    assert [t.model for t in route(snapshot, "svc", "/v1/embeddings").targets] == ["embeds-id"]
    # An imported model's type is a guess: where a name means nothing else, it is asked.
    assert [t.model for t in route(snapshot, "talks", "/v1/embeddings").targets] == ["talks-id"]


def test_a_row_that_is_switched_off_takes_nobody_elses_place() -> None:
    catalogue = Catalogue()
    off = catalogue.model(catalogue.provider("p"), "m", model_id="off", active=False)
    catalogue.model(catalogue.provider("q"), "m", model_id="elsewhere")
    catalogue.mapping(off, "off", priority=1)
    catalogue.mapping(catalogue.model(catalogue.provider("r"), "other"), "on", priority=2)

    assert [t.model for t in route(catalogue.snapshot(), "svc/chat").targets] == ["other-id"]


@given(
    st.lists(
        st.tuples(
            st.sampled_from("abcd"), st.integers(0, 2), st.sampled_from([0, 1, 3]), st.sampled_from("fg"),
            st.sampled_from([None, *"abcd"]),
        ),
        min_size=1,
        max_size=8,
    )
)  # fmt: skip
def test_models_come_in_the_order_in_which_the_list_of_the_service_has_them(
    mappings: list[tuple[str, int, int, str, str | None]],
) -> None:
    catalogue = Catalogue()
    rows = {name: catalogue.model(catalogue.provider(f"p{name}"), name) for name in "abcd"}
    for number, (name, priority, weight, function, stands_in) in enumerate(mappings):
        columns = {"priority": priority, "weight": weight, "function_name": function}
        fallback = rows[stands_in] if stands_in else None
        catalogue.mapping(rows[name], f"v{number}", fallback_model_id=fallback, **columns)
    snapshot = catalogue.snapshot()

    of: tuple[tuple[str, str | None], ...] = (("svc", None), ("svc/f", "f"), ("svc/g", "g"))
    for asked, of_function in of:
        if listed := dict.fromkeys(f"{row['name']}-id" for row in deployed_models(snapshot, "svc", of_function)):
            assert [target.model for target in route(snapshot, asked).targets] == list(listed)
            first = service_models(snapshot, "svc", of_function)[0]["name"]
            assert route(snapshot, asked).targets[0].model == f"{first}-id"


def test_live_deployments_come_before_the_providers_own_address() -> None:
    catalogue = Catalogue()
    provider = catalogue.provider("p", "ollama", api_base="http://own.example:11434", route_by="deployments")
    m = catalogue.model(provider)
    for node_id, memory in (("small", 8_000), ("large", 24_000), ("cordoned", 9), ("lost", 9)):
        said: dict[str, dict[str, Any]] = {"cordoned": {"cordoned": True}, "lost": {"status": "lost"}}
        columns = said.get(node_id, {})
        catalogue.node(node_id, vram_total_mb=memory, **columns)
        catalogue.deployment(m, node_id)
    catalogue.deployment(m, "loading", status="loading")

    found = route(catalogue.snapshot(), "m")

    assert places(found) == [
        (0, "http://large:11434/v1", "m-id"),
        (0, "http://small:11434/v1", "m-id"),
        (1, "http://own.example:11434/v1", "m-id"),
    ]
    assert [t.key for t in found.targets][::2] == ["deployment:large/ollama/m-id", "provider:p/m-id"]
    assert {t.weight for t in found.targets} == {0.5, 1.0}


def test_deployments_are_not_asked_where_the_provider_is_not_routed_by_them() -> None:
    catalogue = Catalogue()
    catalogue.deployment(catalogue.model(catalogue.provider("p", "ollama")))

    assert [t.key for t in route(catalogue.snapshot(), "m").targets] == ["provider:p/m-id"]


def test_a_provider_behind_a_gateway_is_asked_there() -> None:
    catalogue = Catalogue()
    provider = catalogue.provider("p", "vllm", api_base=None, route_by="gateway:edge")
    m = catalogue.model(provider, "m")
    catalogue.deployment(m, "n", provider_type="vllm", endpoint="http://n:8000")
    row = {"name": "edge", "kind": "smg", "settings": {"address": "http://smg:30000/v1"}}
    catalogue.operations.append(Operation("gateways", "insert", "g", row))

    assert places(route(catalogue.snapshot(), "m")) == [(0, "http://smg:30000/v1", "m-id")]
    assert "no api_base" in refusal(route(catalogue.snapshot().preview([Operation("gateways", "delete", "g")]), "m"))


def test_a_providers_address_that_is_one_of_its_nodes_is_asked_once() -> None:
    catalogue = Catalogue()
    provider = catalogue.provider("p", "ollama", api_base="http://n:11434", route_by="deployments")
    catalogue.deployment(catalogue.model(provider))

    assert [t.key for t in route(catalogue.snapshot(), "m").targets] == ["deployment:n/ollama/m-id"]


def test_two_accounts_at_one_address_are_two() -> None:
    catalogue = Catalogue()
    for name, variable in (("p", "OPENAI_API_KEY"), ("q", "OTHER_KEY")):
        catalogue.model(catalogue.provider(name, "openai", api_key_env_var=variable), "m")

    variables = [t.authorisation_variable for t in route(catalogue.snapshot(), "m").targets]
    assert variables == ["OPENAI_API_KEY", "OTHER_KEY"]


def test_a_deployment_that_comes_and_goes_is_asked_last_until_it_has_stayed() -> None:
    catalogue = Catalogue()
    provider = catalogue.provider("p", "ollama", api_base="http://own.example:11434", route_by="deployments")
    left = {"left_at": "2026-11-30T11:59:55+00:00", "left_before_at": "2026-11-30T11:59:50+00:00"}
    catalogue.deployment(catalogue.model(provider), **left)
    snapshot = catalogue.snapshot()

    held = route(snapshot, "m", hold_seconds=10.0)
    assert [t.key for t in held.targets] == ["provider:p/m-id", "deployment:n/ollama/m-id"]
    assert held.until == NOW.timestamp() + 5

    later = route(snapshot, "m", hold_seconds=10.0, now=NOW.timestamp() + 6)
    assert [t.key for t in later.targets] == ["deployment:n/ollama/m-id", "provider:p/m-id"]


def test_without_a_node_and_without_an_address_it_says_what_is_missing() -> None:
    catalogue = Catalogue()
    catalogue.model(catalogue.provider("p", "vllm", api_base=None, route_by="deployments"))

    found = route(catalogue.snapshot(), "m")

    assert "it is asked only at nodes that have it loaded" in refusal(found)
    assert isinstance(found.refusal(), NoInstance)


@pytest.mark.parametrize(
    ("kind", "base", "asked_at"),
    [
        ("openai", None, "https://api.openai.com/v1"),
        ("openai", "https://proxy.example/v1/", "https://proxy.example/v1"),
        ("groq", None, "https://api.groq.com/openai/v1"),
        ("mistral", None, "https://api.mistral.ai/v1"),
        ("openrouter", None, "https://openrouter.ai/api/v1"),
        ("together", None, "https://api.together.xyz/v1"),
        ("deepseek", None, "https://api.deepseek.com/v1"),
        ("xai", None, "https://api.x.ai/v1"),
        ("fireworks", None, "https://api.fireworks.ai/inference/v1"),
        ("hyperbolic", None, "https://api.hyperbolic.xyz/v1"),
        ("ollama", "http://box:11434", "http://box:11434/v1"),
        ("vllm", "http://box:8000/v1", "http://box:8000/v1"),
        ("openai_compatible", "https://api.perplexity.ai", "https://api.perplexity.ai"),
        ("azure", "https://mine.openai.azure.com/", "https://mine.openai.azure.com/openai/v1"),
        ("azure", "https://mine.openai.azure.com/openai/v1", "https://mine.openai.azure.com/openai/v1"),
    ],
)
def test_each_type_is_asked_where_it_speaks_openais_protocol(kind: str, base: str | None, asked_at: str) -> None:
    catalogue = Catalogue()
    catalogue.model(catalogue.provider("p", kind, api_base=base, api_key_env_var="OTHER_KEY"))

    (target,) = route(catalogue.snapshot(), "m").targets

    assert (target.url, target.model, target.authorisation_variable) == (asked_at, "m-id", "OTHER_KEY")


def test_another_protocol_names_the_gateways_that_speak_it_and_the_models_name_there() -> None:
    catalogue = Catalogue()
    provider = catalogue.provider("anthropic", "anthropic", api_key_env_var="OTHER_KEY")
    catalogue.mapping(catalogue.model(provider, "claude", model_id="claude-x"))

    for asked in ("claude", "svc/chat"):
        found = route(catalogue.snapshot(), asked)
        assert isinstance(found.refusal(), ProtocolUnsupported)
        assert "TensorZero as tensorzero::model_name::claude" in refusal(found)
        assert "LiteLLM as anthropic/claude-x" in refusal(found)


def test_where_another_model_can_be_asked_it_is() -> None:
    catalogue = Catalogue()
    catalogue.mapping(catalogue.model(catalogue.provider("anthropic", "anthropic"), "claude"), "a")
    catalogue.mapping(catalogue.model(catalogue.provider(), "qwen"), "b", priority=2)

    found = route(catalogue.snapshot(), "svc/chat")

    assert [t.model for t in found.targets] == ["qwen-id"]
    assert [one.who for one in found.unusable] == ["claude at anthropic"]


def test_a_type_of_unknown_protocol_says_which_type_is_not() -> None:
    catalogue = Catalogue()
    catalogue.model(catalogue.provider("rerank", "custom", api_base="http://box:7997"))

    assert "make the type openai_compatible" in refusal(route(catalogue.snapshot(), "m"))


def test_a_key_that_is_not_set_is_said_by_its_variable() -> None:
    catalogue = Catalogue()
    catalogue.model(catalogue.provider("groq", "groq", api_key_env_var="GROQ_API_KEY"))

    found = route(catalogue.snapshot(), "m")

    assert isinstance(found.refusal(), NoInstance)
    assert "GROQ_API_KEY is not set where the registry runs" in refusal(found)


def test_a_hosted_provider_must_name_its_variable() -> None:
    catalogue = Catalogue()
    catalogue.model(catalogue.provider("groq", "groq"))

    assert "set its api_key_env_var to GROQ_API_KEY" in refusal(route(catalogue.snapshot(), "m"))
