"""`model-registry up --with smg`: SMG answers for what nodes have loaded, comes back when it dies, and is ended."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import httpx
import psutil
import pytest

from support.model_nodes import ModelNode
from support.processes import Starter, Up, alive, at_work_in, starting, wait_until

MODEL = "Qwen/Qwen3-8B"


@pytest.fixture
def starter() -> Iterator[Starter]:
    with starting() as own:
        yield own


def smg_of(up: Up) -> psutil.Process:
    (found,) = [child for child in psutil.Process(up.program.pid).children() if child.name() == "smg::router"]
    return found


def address_of(up: Up) -> str:
    """Where the registry says that it is."""
    wait_until(lambda: up.client.get("/api/gateways/smg").is_success)
    return str(up.client.get("/api/gateways/smg").json()["settings"]["address"])


def answer(address: str) -> str:
    body = {"model": MODEL, "messages": [{"role": "user", "content": "hello"}]}
    try:
        answer = httpx.post(f"{address}/chat/completions", json=body)
    except httpx.TransportError:
        return ""
    return str(answer.json()["choices"][0]["message"]["content"]) if answer.is_success else ""


def test_smg_follows_the_fleet_survives_its_death_and_ends_with_the_rest(starter: Starter) -> None:
    up = starter.start("--no-seed", "--with", "smg")
    address = address_of(up)
    with ModelNode("n", MODEL) as node:
        up.client.post(
            "/api/providers", json={"name": "p", "type": "vllm", "route_by": "gateway:smg"}
        ).raise_for_status()
        up.client.post("/api/models", json={"name": "m", "model_id": MODEL, "provider": "p"}).raise_for_status()
        report = {"node_id": "n", "provider_type": "vllm", "model_id": MODEL, "status": "loaded", "endpoint": node.url}
        up.client.post("/api/deployments", json=report).raise_for_status()
        wait_until(lambda: answer(address) == f"n as {MODEL}")
        wait_until(lambda: address in up.client.get("/api/tensorzero/config").text)

        smg_of(up).send_signal(signal.SIGKILL)

        up.program.wait_for(r"SMG +was killed \(SIGKILL\); restarting in [\d.]+ s. [\s\S]*SMG +restarted")
        wait_until(lambda: answer(address) == f"n as {MODEL}")
        assert up.program.stop() == 0
    assert alive(up.family) == []
    assert at_work_in(up.data_dir) == []
    assert "Traceback" not in up.program.said
