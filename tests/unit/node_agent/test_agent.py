"""What the agent publishes and when, with simulated servers and a NATS that may be unavailable."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from model_registry.fleet.gpu_events import read_event
from model_registry.messaging.subjects import LOADED, STATUS, UNLOADED
from model_registry.node_agent.agent import MOST_LISTED, NodeAgent
from model_registry.node_agent.gpus import NvidiaSmi
from model_registry.node_agent.model_server import LoadedModel, NoAnswer
from model_registry.node_agent.watch import Watch
from support.waiting import until

QWEN = LoadedModel("ollama", "qwen3:8b", 6144, 4096)
GEMMA = LoadedModel("ollama", "gemma3:12b")


@dataclass
class Server:
    """Has loaded what a test says."""

    has: list[LoadedModel] = field(default_factory=list)
    fails: NoAnswer | None = None
    bug: bool = False
    url: str = "http://127.0.0.1:1"
    name: str = "a server"

    async def loaded(self) -> list[LoadedModel]:
        if self.bug:
            self.bug = False
            raise RuntimeError("a bug")
        if self.fails is not None:
            raise self.fails
        return self.has

    async def available(self) -> list[str]:
        return ["pulled"]

    async def close(self) -> None:
        """Nothing is open."""


class NoGpus(NvidiaSmi):
    async def metrics(self) -> list[dict[str, Any]]:
        return [{"total_vram_mb": 1}]


@dataclass
class Nats:
    """Takes messages while it is up."""

    up: bool = True
    said: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    async def publish(self, subject: str, payload: bytes) -> bool:
        if self.up:
            self.said.append((subject, json.loads(payload)))
        return self.up

    def models(self, subject: str) -> list[str]:
        return [content["model_id"] for where, content in self.said if where == subject]

    def statuses(self) -> list[dict[str, Any]]:
        return [content for where, content in self.said if where == STATUS]


def agent_of(*servers: Server) -> NodeAgent:
    return NodeAgent("gpu-1", [Watch(server, f"http://gpu-1:{i}/v1") for i, server in enumerate(servers)], NoGpus())


@contextlib.contextmanager
def running(agent: NodeAgent, nats: Nats, *, interval: float = 60) -> Iterator[None]:
    task = asyncio.create_task(agent.run(nats.publish, poll=0.005, interval=interval))
    try:
        yield
    finally:
        task.cancel()


async def test_everything_is_published_at_the_start_and_then_only_changes() -> None:
    server, nats = Server([QWEN]), Nats()
    with running(agent_of(server), nats):
        await until(_true(nats.statuses))
        assert [where for where, _ in nats.said] == [LOADED, STATUS]

        server.has = [GEMMA]
        await until(_true(lambda: len(nats.said) == 4))

    assert nats.models(UNLOADED) == ["qwen3:8b"]
    assert nats.models(LOADED) == ["qwen3:8b", "gemma3:12b"]


async def test_the_registry_understands_every_message() -> None:
    agent = agent_of(Server([QWEN, GEMMA]), Server(fails=NoAnswer("refused", down=True)))
    await agent.look()
    messages = [*agent.differences(), agent.status()]

    heard = [
        read_event(message[0], json.dumps(message[1]).encode(), received_at=datetime.now(UTC), default_node="default")
        for message in messages
        if message
    ]

    assert [one.problems for one in heard] == [[], [], []]
    said = [
        (e.node_id, e.provider_type, e.announced_model, e.status, e.vram_allocated_mb, e.endpoint)
        for one in heard
        for e in one.events
    ]
    qwen = ("gpu-1", "ollama", "qwen3:8b", "loaded", 6144, "http://gpu-1:0/v1")
    gemma = ("gpu-1", "ollama", "gemma3:12b", "loaded", None, "http://gpu-1:0/v1")
    assert (said[:2], set(said[2:])) == ([qwen, gemma], {qwen, gemma})


async def test_a_status_message_says_what_could_be_loaded_and_how_the_gpus_are() -> None:
    agent = agent_of(Server([QWEN]))
    await agent.look()

    message = agent.status()

    assert message is not None
    assert message[1]["endpoint"] == "http://gpu-1:0/v1"
    assert message[1]["data"]["available_models"] == ["pulled"]
    assert message[1]["data"]["metrics"] == {"total_vram_mb": 1}


async def test_a_server_that_is_waited_for_keeps_the_status_message_back() -> None:
    """A list without its models would say that they are gone."""
    server, nats = Server(fails=NoAnswer("slow")), Nats()
    agent = agent_of(server, Server([GEMMA]))
    await agent.look()
    assert agent.status() is None

    with running(agent, nats):
        await until(_true(nats.statuses))

    assert list(nats.statuses()[0]["data"]["loaded_models"]) == ["ollama/gemma3:12b"]


async def test_models_of_a_server_that_dies_are_reported_in_error_and_loaded_when_it_is_back() -> None:
    server, nats = Server([QWEN]), Nats()
    with running(agent_of(server), nats, interval=0.02):
        await until(_true(nats.statuses))
        server.fails = NoAnswer("refused", down=True)
        await until(_true(lambda: nats.statuses()[-1]["data"]["loaded_models"]["ollama/qwen3:8b"]["state"] == "error"))
        server.fails = None
        await until(_true(lambda: nats.statuses()[-1]["data"]["loaded_models"]["ollama/qwen3:8b"]["state"] == "loaded"))

    assert [content["status"] for where, content in nats.said if where == LOADED] == ["loaded", "error", "loaded"]
    assert nats.models(UNLOADED) == []


async def test_unpublished_changes_are_published_when_nats_is_back() -> None:
    server, nats = Server([QWEN]), Nats()
    agent = agent_of(server)
    with running(agent, nats):
        await until(_true(nats.statuses))
        nats.up = False
        server.has = [GEMMA]
        await asyncio.sleep(0)
        server.has = [GEMMA, LoadedModel("ollama", "third")]
        nats.up = True
        agent.wake.set()
        await until(_true(lambda: len(nats.statuses()) == 2))

    assert nats.models(UNLOADED) == ["qwen3:8b"]
    assert nats.models(LOADED) == ["qwen3:8b", "gemma3:12b", "third"]


async def test_after_a_reconnect_the_status_is_published_once_more() -> None:
    """JetStream may not store yet what arrives with the reconnect, and the next status may be a minute away."""
    nats = Nats()
    agent = agent_of(Server([QWEN]))
    with running(agent, nats):
        await until(_true(nats.statuses))
        agent.wake.set()
        await until(_true(lambda: len(nats.statuses()) >= 3))


async def test_times_rise_also_when_the_clock_is_set_back(monkeypatch: pytest.MonkeyPatch) -> None:
    agent = agent_of(Server([QWEN, GEMMA]))
    await agent.look()
    first = [content["ts"] for _, content in agent.differences()]
    earlier = time.time() - 3600
    monkeypatch.setattr(time, "time", lambda: earlier)

    status = agent.status()

    assert status is not None
    assert first[0] < first[1] < status[1]["ts"]


async def test_two_servers_with_the_same_model_are_one_deployment(caplog: pytest.LogCaptureFixture) -> None:
    agent = agent_of(Server([QWEN]), Server([QWEN]))
    await agent.look()

    assert [content["endpoint"] for _, content in agent.differences()] == ["http://gpu-1:0/v1"]
    assert "two servers" in caplog.text


async def test_no_more_models_are_listed_than_the_registry_takes() -> None:
    agent = agent_of(Server([LoadedModel("ollama", f"m{i}") for i in range(MOST_LISTED + 1)]))
    await agent.look()

    status = agent.status()

    assert status is not None
    assert len(status[1]["data"]["loaded_models"]) == MOST_LISTED


async def test_a_bug_does_not_silence_the_node(caplog: pytest.LogCaptureFixture) -> None:
    nats = Nats()
    with running(agent_of(Server([QWEN], bug=True)), nats):
        await until(_true(nats.statuses))

    assert "failed unexpectedly" in caplog.text


def _true(look: Any) -> Any:
    async def looked() -> Any:
        return look()

    return looked
