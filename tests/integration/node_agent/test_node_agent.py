"""The agent on a GPU node: real HTTP to servers with the protocols of Ollama and vLLM, real NATS, a real registry."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from model_registry.messaging.connection import NatsConnection, cancel
from model_registry.messaging.login import NatsLogin
from model_registry.node_agent.agent import NodeAgent
from model_registry.node_agent.gpus import NvidiaSmi
from model_registry.node_agent.model_server import ModelServer, Ollama, OpenAICompatible, Watch
from support.fleet import Fleet, consuming
from support.nats_server import NatsServer
from support.replica import QUICK, Replica
from support.stub_servers import GIB, StubNodeServer, fake_nvidia_smi
from support.waiting import until

GPUS = "0, 24576, 8000, 16576, 5, 40, 50.0, 300.0, NVIDIA A10\n1, 24576, 0, 24576, 0, 30, 20.0, 300.0, NVIDIA A10"


@pytest.fixture
def stub() -> Iterator[StubNodeServer]:
    with StubNodeServer() as server:
        yield server


@pytest.fixture(autouse=True)
def _no_gpus(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """This machine may have some."""
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}/bin{os.pathsep}/usr/bin")
    fake_nvidia_smi(tmp_path / "bin", "", "exit 9")


@asynccontextmanager
async def agent_of(
    *servers: ModelServer, url: str, interval: float = 0.1, gpus_seconds: float = 3.0
) -> AsyncIterator[NodeAgent]:
    """An agent at work."""
    agent = NodeAgent(
        "gpu-1", [Watch(server, f"http://gpu-1:{server.url[-5:]}/v1") for server in servers], NvidiaSmi(gpus_seconds)
    )
    link = NatsConnection(NatsLogin(url), "node", on_up=agent.wake.set, pace=QUICK)
    link.start()
    work = asyncio.create_task(agent.run(link.publish, poll=0.02, interval=interval))
    try:
        yield agent
    finally:
        await cancel(work)
        await link.stop()
        await agent.close()


async def shown(replica: Replica, **states: str) -> dict[str, dict[str, Any]] | None:
    """The registry's deployments by model, once they are in these states and there are no others."""
    items = (await replica.client.get("/api/deployments")).json()["items"]
    found = {item["announced_model"]: item for item in items}
    return found if {model: item["status"] for model, item in found.items()} == states else None


async def test_the_registry_follows_what_an_ollama_loads_and_unloads(
    stub: StubNodeServer, consumer: Replica, nats_url: str
) -> None:
    stub.loaded = {"qwen": {"size_vram": 5 * GIB}}
    async with agent_of(Ollama(stub.url), url=nats_url):
        found = await until(partial(shown, consumer, qwen="loaded"))
        assert found is not None
        assert found["qwen"]["vram_allocated_mb"] == 5 * 1024
        assert found["qwen"]["provider_type"] == "ollama"
        assert found["qwen"]["endpoint"] == f"http://gpu-1:{stub.port}/v1"

        stub.loaded = {"gemma": {"size_vram": 0}}
        await until(partial(shown, consumer, qwen="unloaded", gemma="loaded"))
        stub.loaded = {}
        await until(partial(shown, consumer, qwen="unloaded", gemma="unloaded"))


async def test_the_registry_learns_that_a_server_died_and_that_it_is_back(
    stub: StubNodeServer, consumer: Replica, nats_url: str
) -> None:
    stub.loaded = {"qwen": {}, "gemma": {}}
    async with agent_of(Ollama(stub.url), url=nats_url):
        await until(partial(shown, consumer, qwen="loaded", gemma="loaded"))
        stub.stop()
        found = await until(partial(shown, consumer, qwen="error", gemma="error"))
        assert found is not None
        assert "Ollama does not answer" in found["qwen"]["error_message"]

        stub.loaded = {"qwen": {}}
        stub.start()
        await until(partial(shown, consumer, qwen="loaded", gemma="unloaded"))


@pytest.mark.parametrize("trouble", ["hangs", "answers 500"])
async def test_a_server_that_is_only_busy_is_believed_to_be_gone_after_a_while(
    trouble: str, stub: StubNodeServer, consumer: Replica, nats_url: str
) -> None:
    stub.loaded = {"qwen": {}}
    async with agent_of(Ollama(stub.url, answer_seconds=0.2), url=nats_url):
        await until(partial(shown, consumer, qwen="loaded"))
        if trouble == "hangs":
            stub.hangs = 0.5
        else:
            stub.status = 500
        await until(partial(shown, consumer, qwen="error"))
        stub.hangs, stub.status = 0, 200
        await until(partial(shown, consumer, qwen="loaded"))


async def test_vllm_and_ollama_on_one_node_are_reported_together(
    stub: StubNodeServer, consumer: Replica, fleet: Fleet, nats_url: str
) -> None:
    stub.loaded = {"qwen": {}}
    statuses = await heard(fleet)
    with StubNodeServer(loaded={"meta-llama/Llama": {}, "adapter": {"parent": "meta-llama/Llama"}}) as vllm:
        async with agent_of(Ollama(stub.url), OpenAICompatible(f"{vllm.url}/v1/", api_key="a key"), url=nats_url):
            states = {"qwen": "loaded", "meta-llama/Llama": "loaded", "adapter": "loaded"}
            found = await until(partial(shown, consumer, **states))
            assert found is not None
            await until(statuses_of(statuses))

    assert found["adapter"]["provider_type"] == "vllm"
    assert found["adapter"]["endpoint"] == f"http://gpu-1:{vllm.port}/v1"
    assert set(vllm.authorization) == {"Bearer a key"}
    assert statuses[0]["data"]["loaded_models"]["vllm/meta-llama/Llama"]["context_length"] == 32768
    assert "endpoint" not in statuses[0]


async def test_a_server_that_loads_on_demand_says_what_is_loaded(
    consumer: Replica, fleet: Fleet, nats_url: str
) -> None:
    models: dict[str, dict[str, Any]] = {
        "out": {"status": {"value": "unloaded", "args": ["x"]}},
        "in": {"status": {"value": "loaded"}},
        "coming": {"status": {"value": "loading"}},
        "broken": {"status": {"value": "unloaded", "failed": True, "exit_code": 1}},
        "worse": {"status": {"value": "load_failed"}},
        "C:\\models\\win.gguf": {},
    }
    statuses = await heard(fleet)
    with (
        StubNodeServer(loaded={name: {"owned_by": "llamacpp", **said} for name, said in models.items()}) as router,
        StubNodeServer(loaded={"acme/SG-8B": {"owned_by": "sglang"}, "word": {"status": "not-loaded"}}) as other,
    ):
        async with agent_of(OpenAICompatible(router.url), OpenAICompatible(other.url), url=nats_url):
            states = {"in": "loaded", "coming": "loading", "C:\\models\\win.gguf": "loaded"}
            states |= dict.fromkeys(("broken", "worse"), "error")
            found = await until(partial(shown, consumer, **states, **{"acme/SG-8B": "loaded"}))
            await until(statuses_of(statuses))

    assert found is not None
    assert {row["provider_type"] for name, row in found.items() if name in states} == {"llamacpp"}
    assert found["acme/SG-8B"]["provider_type"] == "sglang"
    assert found["broken"]["error_message"] == "its server failed to load it (exit code 1)"
    assert statuses[0]["data"]["available_models"] == ["out", "word"]
    assert len(statuses[0]["data"]["loaded_models"]) == 6


async def test_every_status_message_has_the_vram_of_all_gpus(
    stub: StubNodeServer, fleet: Fleet, nats_url: str, tmp_path: Path
) -> None:
    stub.pulled = ["gemma"]
    fake_nvidia_smi(tmp_path / "bin", GPUS)
    statuses = await heard(fleet)
    async with agent_of(Ollama(stub.url), url=nats_url):
        await until(statuses_of(statuses, 3))

    for status in statuses:
        gpus = status["data"]["metrics"]
        assert [(gpu["name"], gpu["used_vram_mb"]) for gpu in gpus] == [("NVIDIA A10", 8000), ("NVIDIA A10", 0)]
        assert status["data"]["loaded_models"] == {}
        assert status["data"]["available_models"] == ["gemma"]
        assert status["endpoint"] == f"http://gpu-1:{stub.port}/v1"


@pytest.mark.parametrize("then", ["exit 9", "exec sleep 60"], ids=["fails", "hangs"])
async def test_a_driver_that_fails_or_hangs_holds_no_heartbeat_up(
    then: str, stub: StubNodeServer, fleet: Fleet, nats_url: str, tmp_path: Path
) -> None:
    fake_nvidia_smi(tmp_path / "bin", GPUS, then)
    statuses = await heard(fleet)
    async with agent_of(Ollama(stub.url), url=nats_url, gpus_seconds=0.1):
        await until(statuses_of(statuses, 3))

    assert [status for status in statuses if "metrics" in status["data"]] == []


@pytest.mark.parametrize("then", ["exit 9", "exec sleep 60"], ids=["fails", "hangs"])
async def test_a_driver_that_fails_once_does_not_make_the_node_forget_its_memory(then: str, tmp_path: Path) -> None:
    smi = NvidiaSmi(answer_seconds=0.3)
    fake_nvidia_smi(tmp_path / "bin", GPUS)
    before = await until(smi.metrics)

    fake_nvidia_smi(tmp_path / "bin", GPUS, then)
    meanwhile = [await smi.metrics(), await smi.metrics()]

    lasting = ("gpu_index", "total_vram_mb", "name")
    assert meanwhile == [[{name: gpu[name] for name in lasting} for gpu in before]] * 2


async def test_changes_while_nats_was_away_are_published_when_it_is_back(
    stub: StubNodeServer, nats_server: NatsServer, start_replica: Any
) -> None:
    """Also when it is not there at the start: the agent starts, and looks."""
    replica: Replica = await start_replica(NATS_URL=nats_server.url)
    nats_server.kill()
    stub.loaded = {"qwen": {}}
    async with agent_of(Ollama(stub.url), url=nats_server.url, interval=60) as agent:
        await until(looked(agent, "ollama/qwen"))
        nats_server.start()
        await consuming(replica)
        await until(partial(shown, replica, qwen="loaded"))

        nats_server.kill()
        stub.loaded = {"gemma": {}}
        await until(looked(agent, "ollama/gemma"))
        nats_server.start()
        await until(partial(shown, replica, qwen="unloaded", gemma="loaded"))


def looked(agent: NodeAgent, key: str) -> Any:
    async def seen() -> bool:
        status = agent.status()
        return status is not None and list(status[1]["data"]["loaded_models"]) == [key]

    return seen


async def heard(fleet: Fleet) -> list[dict[str, Any]]:
    """Status messages, as they come."""
    statuses: list[dict[str, Any]] = []
    await fleet.listen(statuses)
    return statuses


def statuses_of(statuses: list[dict[str, Any]], count: int = 1) -> Any:
    async def enough() -> bool:
        return len(statuses) >= count

    return enough
