"""LiteLLM's real proxy runs what the registry renders: who answers, in which order, and when a server is gone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from model_registry.entities.change import Operation
from model_registry.entities.gateway import Gateway
from model_registry.gateways.litellm.rendering.render import LiteLLMRenderer
from model_registry.snapshot.snapshot import Snapshot
from support.catalogues import Catalogue
from support.litellm_proxy import Proxy, litellm_proxy
from support.stub_openai import StubOpenAI

EDGE = Gateway(id="g", name="edge", kind="litellm", content_of="edge")
STUBS = ("first", "second", "third", "node_a", "node_b")


@dataclass(frozen=True, slots=True)
class World:
    """Two proxies, before and after one mapping is switched, and the servers behind both."""

    before: Proxy
    after: Proxy
    stubs: dict[str, StubOpenAI]

    def answered(self) -> dict[str, int]:
        """How many requests each server got since the last look."""
        numbers = {name: len(stub.asked) for name, stub in self.stubs.items() if stub.asked}
        for stub in self.stubs.values():
            stub.asked.clear()
        return numbers


def registry(stubs: dict[str, StubOpenAI]) -> tuple[Snapshot, Snapshot]:
    """A registry, and the same after its mapping `switched` leads to another model."""
    catalogue = Catalogue()
    providers = {name: catalogue.provider(name, api_base=stubs[name].api_base) for name in ("first", "second", "third")}
    one, two = (catalogue.model(providers[name], f"at_{name}", model_id=name) for name in ("first", "second"))
    catalogue.model(providers["first"], "ordered", model_id="x")
    catalogue.model(providers["second"], "ordered", model_id="x", routing_priority=1)
    for priority, name in enumerate(("third", "second")):
        catalogue.model(providers[name], "falls", model_id="x", routing_priority=priority)
    for model_type in ("embedding", "reranker", "tts"):
        catalogue.model(providers["first"], model_type, model_id=model_type, model_type=model_type)
    catalogue.alias(one, "also")
    catalogue.function(function_name="switched")
    mapping = catalogue.mapping(one, function_name="switched", tensorzero={"temperature": 0.25})
    catalogue.function(function_name="shared")
    catalogue.mapping(one, "most", function_name="shared", weight=3)
    catalogue.mapping(two, "least", function_name="shared", weight=1)
    own = StubOpenAI().start()
    own.stop()  # nobody listens at the provider's own address
    fleet = catalogue.provider("fleet", "vllm", api_base=own.api_base, route_by="deployments")
    routed = catalogue.model(fleet, "routed", model_id="x")
    for name in ("node_a", "node_b"):
        catalogue.deployment(routed, name, provider_type="vllm", endpoint=stubs[name].api_base)
    before = catalogue.snapshot()
    return before, before.preview([Operation("service_model_mappings", "update", mapping, {"model_id": two})])


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    directory = tmp_path_factory.mktemp("litellm")
    with ExitStack() as stack:
        stubs = {name: stack.enter_context(StubOpenAI(name)) for name in STUBS}
        renderer = LiteLLMRenderer()
        before, after = (
            stack.enter_context(litellm_proxy(Path(directory, str(number)), renderer.render(snapshot, EDGE).files))
            for number, snapshot in enumerate(registry(stubs))
        )
        before.wait()
        after.wait()
        yield World(before, after, stubs)


def test_a_request_by_the_name_of_a_function_is_answered_by_its_model(world: World) -> None:
    answer = world.before.chat("svc_switched")
    assert answer["choices"][0]["message"]["content"] == "as first"
    assert b'"temperature":0.25' in world.stubs["first"].asked[-1].body.replace(b" ", b"")
    assert world.answered() == {"first": 1}


def test_a_switched_mapping_switches_who_answers(world: World) -> None:
    assert world.after.chat("svc_switched")["choices"][0]["message"]["content"] == "as second"
    assert world.answered() == {"second": 1}


def test_sixty_of_sixty_requests_go_to_the_first_of_two_priorities(world: World) -> None:
    for _ in range(60):
        world.before.chat("ordered")
    assert world.answered() == {"first": 60}


def test_weights_share_the_requests_of_a_function(world: World) -> None:
    for _ in range(60):
        world.before.chat("svc_shared")
    found = world.answered()
    assert found.keys() == {"first", "second"}
    assert found["first"] > found["second"]  # by 3 to 1: the opposite happens once in 40,000 runs


def test_an_alias_and_every_kind_of_model_are_answered(world: World) -> None:
    proxy = world.before
    assert proxy.chat("also")["choices"][0]["message"]["content"] == "as first"
    assert len(proxy.ask("/v1/embeddings", "embedding", input="x")["data"][0]["embedding"]) == 3
    assert proxy.ask("/v1/rerank", "reranker", query="q", documents=["a"])["results"][0]["relevance_score"] == 0.5
    speech = proxy.client.post("/v1/audio/speech", json={"model": "tts", "input": "x", "voice": "alloy"})
    assert speech.status_code == 200, speech.text
    assert world.answered() == {"first": 4}


def test_when_the_first_server_is_gone_the_second_answers(world: World) -> None:
    world.stubs["third"].stop()
    for _ in range(10):
        world.before.chat("falls")
    assert world.answered() == {"second": 10}


def test_nodes_share_the_requests_and_a_dead_one_fails_none(world: World) -> None:
    for _ in range(20):
        world.before.chat("routed")
    assert world.answered().keys() == {"node_a", "node_b"}
    world.stubs["node_a"].stop()
    for _ in range(40):
        world.before.chat("routed")
    assert world.answered() == {"node_b": 40}
