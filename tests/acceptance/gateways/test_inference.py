"""A real inference: models registered over REST, rendered, and called through the real gateway at a stub server."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.gateway_client import CallFailed, Gateway
from support.processes import Service
from support.stub_servers import EMBEDDING, StubModelServer

QUESTION = {"messages": [{"role": "user", "content": "hello"}]}


@pytest.fixture
def servers() -> Iterator[tuple[StubModelServer, StubModelServer]]:
    """Two model servers that name themselves in their responses."""
    with StubModelServer("first") as first, StubModelServer("second") as second:
        yield first, second


@pytest.fixture
def offered(service: Service, servers: tuple[StubModelServer, StubModelServer]) -> Service:
    """A chat model at each server, an embedding model at the first, an alias for each kind."""
    for server in servers:
        service.post("/api/providers", {"name": server.name, "type": "openai_compatible", "api_base": server.api_base})
        model = {"name": f"chat_{server.name}", "model_id": f"org/chat:{server.name}", "provider": server.name}
        service.post("/api/models", model)
    service.patch("/api/providers/first", {"api_key_env_var": "FIRST_KEY"})
    embedding = {"name": "embed.large", "model_id": "embed:0.6b", "model_type": "embedding", "provider": "first"}
    service.post("/api/models", embedding)
    service.post("/api/aliases", {"alias": "house model", "model": "chat_first"})
    service.post("/api/aliases", {"alias": "default_embedding", "model": "embed.large", "context": "tensorzero"})
    service.post("/api/mappings", mapping("main", "chat_first"))
    return service


def mapping(variant: str, model: str, **more: Any) -> dict[str, Any]:
    return {"service_name": "agents", "function_name": "chat", "variant_name": variant, "model": model, **more}


def ask(gateway: Gateway) -> str:
    """The response of the function `agents_chat`."""
    text, _ = gateway.inference(function_name="agents_chat", input=QUESTION)
    return text


def test_what_is_registered_answers_by_function_model_and_alias(
    offered: Service, servers: tuple[StubModelServer, StubModelServer], tmp_path: Path
) -> None:
    first, second = servers
    expected = first.answer_to("org/chat:first")
    with Gateway(offered.config(), tmp_path, {"FIRST_KEY": "the first key"}) as gateway:
        assert gateway.inference(function_name="agents_chat", input=QUESTION) == (expected, "main")
        assert gateway.complete("tensorzero::function_name::agents_chat") == expected

        assert gateway.inference(model_name="chat_first", input=QUESTION)[0] == expected
        assert gateway.complete("tensorzero::model_name::chat_first") == expected
        assert gateway.complete("tensorzero::model_name::chat_second") == second.answer_to("org/chat:second")

        assert gateway.inference(model_name="house model", input=QUESTION)[0] == expected
        assert gateway.complete("tensorzero::model_name::house model") == expected

        assert gateway.embed("tensorzero::embedding_model_name::embed.large") == EMBEDDING
        assert gateway.embed("tensorzero::embedding_model_name::default_embedding") == EMBEDDING
    assert {asked.model for asked in first.asked} == {"org/chat:first", "embed:0.6b"}
    assert {asked.authorization for asked in first.asked} == {"Bearer the first key"}
    assert {asked.authorization for asked in second.asked} == {None}  # no key is configured, none is sent


def test_switching_the_mapping_switches_the_answer(
    offered: Service, servers: tuple[StubModelServer, StubModelServer], tmp_path: Path
) -> None:
    first, second = servers
    with Gateway(offered.config(), tmp_path) as gateway:
        assert ask(gateway) == first.answer_to("org/chat:first")
    offered.patch("/api/mappings/agents/chat/main", {"model": "chat_second"})
    with Gateway(offered.config(), tmp_path) as gateway:
        assert ask(gateway) == second.answer_to("org/chat:second")


def test_the_next_priority_answers_when_the_server_of_the_first_is_down(
    offered: Service, servers: tuple[StubModelServer, StubModelServer], tmp_path: Path
) -> None:
    first, second = servers
    offered.post("/api/mappings", mapping("spare", "chat_second", priority=2))
    with Gateway(offered.config(), tmp_path) as gateway:
        assert gateway.inference(function_name="agents_chat", input=QUESTION)[1] == "main"
        first.stop()
        assert gateway.inference(function_name="agents_chat", input=QUESTION) == (
            second.answer_to("org/chat:second"),
            "spare",
        )


def test_the_fallback_model_of_a_mapping_answers_when_its_own_is_down(
    offered: Service, servers: tuple[StubModelServer, StubModelServer], tmp_path: Path
) -> None:
    first, second = servers
    offered.patch("/api/mappings/agents/chat/main", {"fallback_model_id": "chat_second"})
    with Gateway(offered.config(), tmp_path) as gateway:
        assert ask(gateway) == first.answer_to("org/chat:first")
        first.stop()
        assert ask(gateway) == second.answer_to("org/chat:second")


def test_weights_share_the_calls_and_a_weight_of_nothing_gets_none(
    offered: Service, servers: tuple[StubModelServer, StubModelServer], tmp_path: Path
) -> None:
    _, second = servers
    offered.post("/api/mappings", mapping("other", "chat_second", weight=3.0))
    with Gateway(offered.config(), tmp_path) as gateway:
        answers = [ask(gateway) for _ in range(80)]
    # The chance of a wrong result for a share of three quarters is 10^-9.
    assert 35 < answers.count(second.answer_to("org/chat:second")) < 80
    offered.patch("/api/mappings/agents/chat/main", {"weight": 0})
    with Gateway(offered.config(), tmp_path) as gateway:
        assert {ask(gateway) for _ in range(10)} == {second.answer_to("org/chat:second")}


def test_the_second_provider_of_a_model_answers_when_the_first_is_down(
    offered: Service, servers: tuple[StubModelServer, StubModelServer], tmp_path: Path
) -> None:
    first, second = servers
    for priority, provider in enumerate(["second", "first"]):
        model = {"name": "shared", "model_id": f"shared@{provider}", "provider": provider}
        offered.post("/api/models", model | {"routing_priority": priority})
    with Gateway(offered.config(), tmp_path) as gateway:
        assert gateway.complete("tensorzero::model_name::shared") == second.answer_to("shared@second")
        second.stop()
        assert gateway.complete("tensorzero::model_name::shared") == first.answer_to("shared@first")
        first.stop()
        with pytest.raises(CallFailed, match="All model providers failed"):
            gateway.complete("tensorzero::model_name::shared")


def test_an_inactive_provider_is_asked_no_more(
    offered: Service, servers: tuple[StubModelServer, StubModelServer], tmp_path: Path
) -> None:
    offered.post("/api/mappings", mapping("spare", "chat_second", priority=2))
    offered.patch("/api/providers/first", {"active": False})
    config = offered.config()
    assert "chat_first" not in tomllib.loads(config)["models"]
    with Gateway(config, tmp_path) as gateway:
        assert ask(gateway) == servers[1].answer_to("org/chat:second")
