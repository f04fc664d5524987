"""Events of GPU nodes, generated from a number: the same bytes in every run, and no two events alike."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import orjson

MODELS = 8
"""On each node."""

_BEGAN = 1_772_000_000
_numbers = count()


def events(number: int, nodes: int) -> Iterator[bytes]:
    """Models loaded and unloaded on these nodes, each event newer than all before, so that each is a change."""
    for _ in range(number):
        n = next(_numbers)
        yield event(n, f"gpu-node-{n % nodes}", f"model-{n // nodes % MODELS}:8b")


def event(number: int, node: str, model: str) -> bytes:
    """One event in the documented form, identified by its amount of memory."""
    status = "unloaded" if number // (1000 * MODELS) % 2 else "loaded"
    said = {"node_id": node, "provider_type": "ollama", "model_id": model, "vram_allocated_mb": number % 100_000}
    return orjson.dumps({**said, "status": status, "ts": _BEGAN + number / 1000})


def heartbeat(node: int, second: int) -> bytes:
    """A status message as published by a running orchestrator: about 2 KB, most of it the same every time."""
    listed = {
        f"ollama/model-{i}:8b": {
            "model_id": f"model-{i}:8b",
            "provider": "ollama",
            "vram_mb": 4096,
            "state": "loaded",
            "loaded_at": "2026-03-04T10:00:00",
            "last_used": "2026-03-04T10:04:00",
            "idle_timeout_seconds": 300,
            "session_id": None,
            "idle_seconds": second + i,
            "error_message": None,
        }
        for i in range(MODELS)
    }
    used = 4096 * MODELS + (node + second) % 100
    metrics = {"gpu_index": 0, "name": "NVIDIA GeForce RTX 5090", "total_vram_mb": 40_000, "used_vram_mb": used}
    data = {"metrics": metrics | {"free_vram_mb": 40_000 - used, "temperature_c": 54}, "loaded_models": listed}
    return orjson.dumps(
        {"type": "mesh.gpu.status.v1", "node_id": f"beating-{node}", "data": data, "ts": _BEGAN + second}
    )
