"""`model-registry node run` as a separate process."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import nats_access
from support.nats_server import NatsServer
from support.processes import StartProgram, run
from support.stub_servers import StubNodeServer

NODE = ("node", "run", "--node-id", "gpu-1")


@pytest.fixture
def stub() -> Iterator[StubNodeServer]:
    with StubNodeServer(loaded={"qwen3:8b": {}}, pulled=["gemma3:12b"]) as server:
        yield server


@pytest.fixture
def nats_server(tmp_path: Path) -> Iterator[NatsServer]:
    server = NatsServer(tmp_path / "nats")
    yield server
    server.kill()


def test_once_prints_what_would_be_published(stub: StubNodeServer) -> None:
    done = run(*NODE, "--ollama", stub.url, "--host", "gpu-1.lan", "--once")

    assert done.returncode == 0, done.stderr
    messages = [json.loads(line) for line in done.stdout.splitlines()]
    assert [message["subject"] for message in messages] == ["mesh.gpu.model.loaded.v1", "mesh.gpu.status.v1"]
    (listed,) = messages[1]["payload"]["data"]["loaded_models"].values()
    assert (listed["model_id"], listed["vram_mb"]) == ("qwen3:8b", 6144)
    assert listed["endpoint"] == f"http://gpu-1.lan:{stub.port}/v1"
    assert "other machines" not in done.stderr


def test_once_with_a_server_that_does_not_answer_says_so() -> None:
    with StubNodeServer() as stopped:
        url = stopped.url
    done = run(*NODE, "--openai", url, "--once")

    assert done.returncode == 3
    assert f"{url} does not answer: cannot connect" in done.stderr
    assert "other machines cannot reach" in done.stderr


def test_it_works_until_it_is_stopped_and_shows_no_secret(
    stub: StubNodeServer, nats_server: NatsServer, start_program: StartProgram, tmp_path: Path
) -> None:
    nats_server.more, variables = nats_access.creds(tmp_path)
    nats_server.start()
    url = f"nats://127.0.0.1:{nats_server.port}"
    agent = start_program(*NODE, "--ollama", stub.url, "--nats", url, environment=variables)
    agent.wait_for("ollama/qwen3:8b is loaded, 6144 MiB")

    assert agent.stop(signal.SIGTERM) == 0
    assert "unloaded" not in agent.said
    assert [secret for secret in nats_access.secrets(variables) if secret in agent.said] == []


def test_it_starts_without_nats_and_stops_as_quickly(
    stub: StubNodeServer, nats_server: NatsServer, start_program: StartProgram
) -> None:
    agent = start_program(*NODE, "--ollama", stub.url, environment={"NATS_URL": nats_server.url})
    agent.wait_for("nats: trouble")
    nats_server.start()
    agent.wait_for("is loaded")
    nats_server.kill()
    agent.wait_for("connection lost")

    assert agent.stop(signal.SIGINT) == 0
