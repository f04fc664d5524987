"""Traffic follows the fleet: two model servers as nodes, the real gateway, and callers without any failed request."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from model_registry.entities.provider_types import PROVIDER_TYPES
from model_registry.gateways.tensorzero.rendering.render import render
from model_registry.gateways.tensorzero.validation.gateway_process import GatewayProcess
from support.catalogues import Catalogue
from support.gateway_client import GatewayProgram, Programs, free_port
from support.processes import COMMAND, Service, StartService, wait_until
from support.stub_servers import StubModelServer

HOLD = 0.2
"""Less than a round takes: the test is about nodes that die, not about those that flap."""
ENDPOINTS = (
    *("http://[::1]:8000", "HTTPS://Host", "http://h/v1?x=1#f", "http://h/%zz", "http://ünï.example/v1", "http:///x"),
    *("http://h:99999", "http://1.2.3.4.5", "http://a b/v1", "http://h\\x/v1", "http://h/v1\n", "h:1", "ftp://h"),
)
ROUNDS = 3
"""The fastest round counts: the machine may be busy with other work."""


@pytest.fixture(scope="module")
def gateway_process() -> Iterator[GatewayProcess]:
    with GatewayProcess() as gateway:
        yield gateway


@pytest.fixture
def service(start_service: StartService) -> Service:
    """A service with the real gateway, and a model on nodes. The provider's own address is unreachable."""
    service = start_service(MODEL_REGISTRY_CHECK_WITH_GATEWAY="true", MODEL_REGISTRY_ROUTE_HOLD_SECONDS=str(HOLD))
    nowhere = f"http://127.0.0.1:{free_port()}/v1"
    service.post("/api/providers", {"name": "p", "type": "ollama", "api_base": nowhere, "route_by": "deployments"})
    service.post("/api/models", {"name": "m", "model_id": "qwen3:8b", "provider": "p"})
    return service


def report(service: Service, node: StubModelServer, status: str) -> None:
    body = {"node_id": node.name, "provider_type": "ollama", "model_id": "qwen3:8b", "status": status}
    answer = service.client.post("/api/deployments", json={**body, "endpoint": f"http://127.0.0.1:{node.port}"})
    assert answer.is_success, answer.text


def expect(answers: Counter[str], text: str) -> None:
    """Wait until this is the response, more than once."""
    seen = answers[text]
    wait_until(lambda: answers[text] > seen + 1)


@contextmanager
def asking(gateway: GatewayProgram) -> Iterator[Counter[str]]:
    """A caller that sends requests all the time, and counts the responses."""
    answers: Counter[str] = Counter()
    ended = threading.Event()

    def ask() -> None:
        while not ended.is_set():
            answers[gateway.answer("model_name::m")] += 1

    asker = threading.Thread(target=ask)
    asker.start()
    try:
        yield answers
    finally:
        ended.set()
        asker.join()


def test_traffic_moves_to_the_node_that_is_alive_and_back_and_no_request_fails(
    service: Service, programs: Programs, tmp_path: Path
) -> None:
    gateway = GatewayProgram(programs, tmp_path, free_port())
    sync = (COMMAND, "tensorzero", "sync", "--registry", service.url, "--out", str(tmp_path / "out"))
    with ExitStack() as servers:
        a, b = (servers.enter_context(StubModelServer(name)) for name in "ab")
        for node in (a, b):
            report(service, node, "loaded")
        programs("sync", *sync, "--settle", "0.2", *gateway.options)
        gateway.run()
        wait_until(lambda: "p@a" in gateway.loaded() and "p@b" in gateway.loaded())
        answer, other = (node.answer_to("qwen3:8b") for node in (a, b))
        with asking(gateway) as answers:
            for _ in range(ROUNDS):
                expect(answers, answer)
                a.stop()
                report(service, a, "lost")
                wait_until(lambda: "p@a" not in gateway.loaded())
                expect(answers, other)

                a = servers.enter_context(StubModelServer(a.name, a.port))
                report(service, a, "loaded")
                wait_until(lambda: "p@a" in gateway.loaded())
        assert not answers[""], answers
        assert answers.keys() - {""} == {answer, other}


@pytest.mark.parametrize("kind", sorted(name for name, kind in PROVIDER_TYPES.items() if kind.routable))
def test_whatever_nodes_say_of_themselves_the_gateway_takes_it(kind: str, gateway_process: GatewayProcess) -> None:
    """Otherwise one node could block every later configuration."""
    catalogue = Catalogue()
    model = catalogue.model(catalogue.provider("p", kind, route_by="deployments"), "m")
    for node_id in ("gpu.1", 'a"b', "ü n", "x::y", "a/b", "tensorzero::x", "[[x]]", "#c", "n" * 200):
        catalogue.deployment(model, node_id, endpoint="http://h:11434", announced_model='we"ird::\\name')
    for number, endpoint in enumerate(ENDPOINTS):
        catalogue.deployment(model, f"e{number}", endpoint=endpoint)
    rendered = render(catalogue.snapshot())

    assert gateway_process.validate(rendered.text).accepted
    assert rendered.text.count('"p@e') == 2 * (len(ENDPOINTS) - len(rendered.omitted))
