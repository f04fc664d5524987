"""LiteLLM's real proxy as a process, from the environment that `make test` makes for it."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from model_registry.devstack.ports import LOOPBACK, choose_port
from support.processes import Program, wait_until
from support.waiting import LONGEST

PROGRAM = Path(sys.prefix, "litellm-proxy", "bin", "litellm")
KEY = "sk-" + "for-tests-only"
_STARTS_S = 3 * LONGEST
"""It takes twenty seconds of processor time to start."""


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy that runs."""

    client: httpx.Client
    program: Program

    def wait(self) -> None:
        """Until it answers."""
        wait_until(self._is_ready, _STARTS_S)

    def _is_ready(self) -> bool:
        assert not self.program.ended, f"the proxy ended:\n{self.program.said[-5000:]}"
        try:
            return self.client.get("/health/liveliness", timeout=2).status_code == 200
        except httpx.TransportError:
            return False

    def ask(self, path: str, model: str, **body: Any) -> dict[str, Any]:
        """The answer to a request, which must succeed."""
        answer = self.client.post(path, json={"model": model, **body})
        assert answer.status_code == 200, (answer.text, self.program.said[-3000:])
        found: dict[str, Any] = answer.json()
        return found

    def chat(self, model: str, **body: Any) -> dict[str, Any]:
        """The answer to a message."""
        return self.ask("/v1/chat/completions", model, messages=[{"role": "user", "content": "hi"}], **body)


@contextmanager
def litellm_proxy(directory: Path, files: Mapping[str, bytes], **variables: str) -> Iterator[Proxy]:
    """Start the proxy on these files, with these variables: it runs once `wait` returns."""
    assert PROGRAM.exists(), f"{PROGRAM} is not there: make .venv/litellm-proxy/.made"
    directory.mkdir()
    for path, content in files.items():
        (directory / path).write_bytes(content)
    port = choose_port(None, taken=set())
    argv = [str(PROGRAM), "--config", str(directory / "config.yaml"), "--host", LOOPBACK, "--port", str(port)]
    environment = {"LITELLM_MASTER_KEY": KEY, "LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_MODE": "PRODUCTION"}
    program = Program([*argv, "--telemetry", "False"], directory / "log", environment | variables)
    headers = {"Authorization": f"Bearer {KEY}"}
    with httpx.Client(base_url=f"http://{LOOPBACK}:{port}", headers=headers, timeout=LONGEST) as client:
        try:
            yield Proxy(client, program)
        finally:
            program.end()
