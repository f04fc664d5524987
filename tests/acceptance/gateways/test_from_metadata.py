"""Prices and timeouts of the catalogue in the real gateway: it computes costs and times out according to the rows."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from support.gateway_client import CallFailed, Gateway
from support.processes import Service
from support.stub_servers import StubModelServer

TYPES = ("openai_compatible", "ollama", "vllm", "sglang", "tgi")
PRICES = {"cost_per_1m_input_tokens": 1000, "cost_per_1m_output_tokens": 6000.0}


def test_the_gateway_bills_and_gives_up_as_the_rows_say(service: Service, tmp_path: Path) -> None:
    asks = {"from_metadata": ["cost"]}
    with StubModelServer("stub") as stub, socket.create_server(("127.0.0.1", 0)) as silent:
        for kind in TYPES:
            service.post("/api/providers", {"name": kind, "type": kind, "api_base": stub.api_base})
            row = {"name": f"model_{kind}", "model_id": "m", "provider": kind, "metadata": PRICES, "tensorzero": asks}
            service.post("/api/models", row)
        # The stub says nothing of cached tokens: then none are.
        cached = {"cost_per_1m_cached_input_tokens": 100, **PRICES}
        service.post(
            "/api/models", {"name": "cached", "model_id": "m", "provider": "vllm", "tensorzero": asks, **cached}
        )
        service.post("/api/models", {"name": "quiet", "model_id": "m", "provider": "vllm", "metadata": PRICES})
        silent_base = f"http://127.0.0.1:{silent.getsockname()[1]}/v1"
        service.post("/api/providers", {"name": "silent", "type": "openai_compatible", "api_base": silent_base})
        impatient = {"metadata": {"timeouts": {"total_ms": 150}}, "tensorzero": {"from_metadata": ["timeouts"]}}
        service.post("/api/models", {"name": "impatient", "model_id": "m", "provider": "silent", **impatient})

        with Gateway(service.config(), tmp_path) as gateway:
            usages = {name: gateway.usage(name) for name in (*(f"model_{kind}" for kind in TYPES), "cached", "quiet")}
            stub.usage = {"prompt_tokens_details": {"cached_tokens": 2}}
            partly = gateway.usage("cached")
            with pytest.raises(CallFailed, match=r"150 ?ms"):
                gateway.complete("tensorzero::model_name::impatient")

    assert partly["tensorzero_cost"] == pytest.approx((1 * 1000 + 2 * 100 + 4 * 6000) / 1e6)
    assert usages.pop("quiet").get("tensorzero_cost") is None
    for name, usage in usages.items():
        expected = (usage["prompt_tokens"] * 1000 + usage["completion_tokens"] * 6000) / 1e6
        assert usage["tensorzero_cost"] == pytest.approx(expected), name
        assert expected > 0
