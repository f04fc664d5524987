"""Commands in the test's own process, and what answers them: one for each would take most of the time."""

from __future__ import annotations

import sys
from collections.abc import Callable

import httpx
import pytest

from model_registry.cli import main

Run = Callable[..., int]

_CLIENT = httpx.Client


def answer_with(monkeypatch: pytest.MonkeyPatch, handler: Callable[[httpx.Request], httpx.Response]) -> None:
    """Put a server behind every URL, and forget which registry and Hub the environment names."""
    for variable in ("MODEL_REGISTRY_URL", "MODEL_REGISTRY_API_KEY", "HF_ENDPOINT"):
        monkeypatch.delenv(variable, raising=False)
    transport = httpx.MockTransport(handler)
    monkeypatch.setattr(httpx, "Client", lambda **more: _CLIENT(**more | {"transport": transport}))


def run_command(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Run `model-registry` with these arguments. Returns its exit code."""
    monkeypatch.setattr(sys, "argv", ["model-registry", *arguments])
    try:
        main()
    except SystemExit as end:
        return int(end.code or 0)
    return 0
