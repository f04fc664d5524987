"""A node comes, a node dies, with the real SMG and a real TensorZero gateway before it, and no request fails."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from support.behind_smg import Fleet
from support.fleet import fleet_on
from support.gateway_client import GatewayProgram, Programs, free_port
from support.model_nodes import Callers, ModelNode
from support.processes import COMMAND, Service, StartService, wait_until
from support.smg_program import SmgProgram, agent_of, running_smg

MODEL = "Qwen/Qwen3-8B"
RATE = 100.0
ROUNDS = 3
"""The fastest round counts: the machine may be busy with other work."""


@pytest.fixture
def service(start_service: StartService, programs: Programs) -> Service:
    """A service that hears NATS, and asks the real TensorZero of its configurations."""
    return start_service(MODEL_REGISTRY_CHECK_WITH_GATEWAY="true", NATS_URL=programs.nats_url)


@pytest.fixture
def smg(service: Service, programs: Programs, tmp_path: Path) -> Iterator[SmgProgram]:
    """SMG as the gateway `edge`, with an agent that brings it its workers."""
    out = tmp_path / "edge"
    out.mkdir()
    with running_smg(out) as smg:
        settings = {"address": f"{smg.url}/v1"}
        service.post("/api/gateways", {"name": "edge", "kind": "smg", "settings": settings})
        programs("edge", *agent_of("edge", service.url, out))
        wait_until(smg.manifest.is_file)
        service.post("/api/providers", {"name": "p", "type": "vllm", "route_by": "gateway:edge"})
        service.post("/api/models", {"name": "m", "model_id": MODEL, "provider": "p"})
        yield smg


@pytest.fixture
def gateway(service: Service, smg: SmgProgram, programs: Programs, tmp_path: Path) -> GatewayProgram:
    """TensorZero before it, with an agent of its own."""
    gateway = GatewayProgram(programs, tmp_path, free_port())
    sync = (COMMAND, "tensorzero", "sync", "--registry", service.url, "--out", str(tmp_path / "out"))
    programs("sync", *sync, "--settle", "0.2", *gateway.options)
    gateway.run()
    wait_until(lambda: f"{smg.url}/v1" in gateway.loaded())
    return gateway


async def test_a_node_serves_within_a_second_of_its_event_and_a_killed_one_fails_no_request(
    service: Service, gateway: GatewayProgram, programs: Programs
) -> None:
    loaded, process = gateway.loaded(), gateway.pid_file.read_text()
    assert gateway.answer("model_name::m") == "", "the model is there without a node"
    with ModelNode("stays", MODEL) as stays, ModelNode("comes", MODEL) as comes:
        comes.kill()
        async with fleet_on(programs.nats_url) as nats:

            async def publish(node: ModelNode, status: str) -> None:
                event = node.event(status)
                await nats.load(event.pop("model_id"), node=event.pop("node_id"), **event)

            await publish(stays, "loaded")
            await asyncio.to_thread(wait_until, lambda: gateway.answer("model_name::m") == f"stays as {MODEL}")
            callers = Callers(gateway.base(), "tensorzero::model_name::m", RATE)
            fleet = Fleet(callers, stays, comes, publish)
            ended = asyncio.Event()
            asking = asyncio.create_task(callers.run(ended))
            try:
                rounds = [await fleet.round() for _ in range(ROUNDS)]
            finally:
                ended.set()
                await asking

    assert callers.failed == []
    assert {answer.node for answer in callers.answers} == {"stays", "comes"}
    assert [round_.ghost_asked for round_ in rounds] == [0] * ROUNDS
    assert min(round_.came for round_ in rounds) < 1.0
    assert gateway.loaded() == loaded, "no new configuration"
    assert gateway.pid_file.read_text() == process
    assert service.client.get("/api/tensorzero/config").text == loaded


async def test_smg_refuses_a_model_that_no_node_has_and_serves_every_model_of_a_server(
    smg: SmgProgram, service: Service
) -> None:
    refusal = smg.ask(MODEL)
    assert (refusal.status_code, refusal.json()["error"]["code"]) == (httpx.codes.NOT_FOUND, "model_not_found")

    with ModelNode("n", f"{MODEL},other") as node:
        report = {"node_id": "n", "provider_type": "vllm", "model_id": MODEL, "status": "loaded", "endpoint": node.url}
        assert service.client.post("/api/deployments", json=report).is_success
        await asyncio.to_thread(wait_until, lambda: smg.answer(MODEL) == f"n as {MODEL}")
        service.post("/api/models", {"name": "o", "model_id": "other", "provider": "p"})
        assert service.client.post("/api/deployments", json={**report, "model_id": "other"}).is_success
        await asyncio.to_thread(wait_until, lambda: smg.answer("other") == "n as other")
        assert smg.answer(MODEL) == f"n as {MODEL}", "both models of one server"
        node.kill()
        await asyncio.to_thread(wait_until, lambda: smg.ask(MODEL).status_code == httpx.codes.SERVICE_UNAVAILABLE)
