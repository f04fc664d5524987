"""From TensorZero to LiteLLM with real processes: beside each other, the traffic moved by weight, and back."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import httpx
import pytest

from support.gateway_client import GatewayProgram, Programs, free_port
from support.litellm_proxy import KEY, PROGRAM
from support.paths import ROOT
from support.processes import COMMAND, Program, Service, StartService, wait_until
from support.stub_openai import StubOpenAI
from support.waiting import LONGEST

SCRIPT = ROOT / "deploy" / "gateway.sh"
MANY = 40


@pytest.fixture
def registry(start_service: StartService) -> Service:
    return start_service(MODEL_REGISTRY_CHECK_WITH_GATEWAY="false", LITELLM_KEY=KEY)


def answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2, trust_env=False).is_success
    except httpx.TransportError:
        return False


def shares(registry: Service) -> Counter[str]:
    """Who answers requests for `moving/chat`."""
    body = {"model": "moving/chat", "messages": [{"role": "user", "content": "hello"}]}
    found: Counter[str] = Counter()
    for _ in range(MANY):
        answer = registry.client.post("/v1/chat/completions", json=body)
        assert answer.status_code == 200, answer.text
        found[answer.headers["x-registry-service"].partition("/")[0]] += 1
    return found


def test_traffic_moves_from_tensorzero_to_litellm_by_weight_and_back(
    registry: Service, programs: Programs, tmp_path: Path
) -> None:
    with StubOpenAI("vendor") as vendor:
        base = f"http://127.0.0.1:{vendor.port}/v1"
        registry.post("/api/providers", {"name": "vendor", "type": "openai_compatible", "api_base": base})
        registry.post("/api/models", {"name": "small", "model_id": "small-v1", "provider": "vendor"})
        names = {"service_name": "agents", "function_name": "chat", "variant_name": "main"}
        registry.post("/api/mappings", {**names, "model": "small"})
        scope = {"providers": ["vendor"], "services": ["agents"]}  # without what leads to the gateways themselves
        registry.post("/api/gateways", {"name": "litellm", "kind": "litellm", **scope})
        registry.patch("/api/gateways/tensorzero", scope)
        tensorzero = GatewayProgram(programs, tmp_path, free_port())
        sync = (COMMAND, "gateways", "sync", "--registry", registry.url, "--settle", "0.5", "--out")
        programs("tensorzero-sync", *sync, str(tmp_path / "out"), *tensorzero.options)
        tensorzero.run()
        port = free_port()
        health = f"http://127.0.0.1:{port}/health/liveliness"
        agent = programs(
            "litellm-sync", *sync, str(tmp_path / "litellm"), "--gateway", "litellm", "--health", health,
            "--health-timeout", str(9 * LONGEST),
        )  # fmt: skip
        path = {
            "PATH": f"{PROGRAM.parent}:{os.environ['PATH']}",
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "LITELLM_MASTER_KEY": KEY,
        }
        argv = ["sh", str(SCRIPT), str(tmp_path / "litellm" / "current"), "--host", "127.0.0.1", "--port", str(port)]
        litellm = Program(argv, tmp_path / "litellm.log", path)
        try:
            agent.wait_for("is in use", 9 * LONGEST)
            wait_until(lambda: tensorzero.answer("function_name::agents_chat"))
            for name, address, model, key in (
                ("tensorzero_gateway", tensorzero.base(), "tensorzero::function_name::agents_chat", None),
                ("litellm_gateway", f"http://127.0.0.1:{port}/v1", "agents_chat", "LITELLM_KEY"),
            ):
                fields = {"name": name, "type": "openai_compatible", "api_base": address, "api_key_env_var": key}
                registry.post("/api/providers", fields)
                registry.post("/api/models", {"name": f"by_{name}", "model_id": model, "provider": name})
                mapping = {"service_name": "moving", "function_name": "chat", "variant_name": name, "weight": 1}
                registry.post("/api/mappings", {**mapping, "model": f"by_{name}"})
            assert shares(registry).keys() == {"tensorzero_gateway", "litellm_gateway"}
            registry.patch("/api/mappings/moving/chat/tensorzero_gateway", {"weight": 0})
            assert shares(registry) == {"litellm_gateway": MANY}
            registry.patch("/api/mappings/moving/chat/tensorzero_gateway", {"weight": 1})
            registry.patch("/api/mappings/moving/chat/litellm_gateway", {"weight": 0})
            assert shares(registry) == {"tensorzero_gateway": MANY}
        finally:
            litellm.end()
