"""A gateway and the agent beside it, as separate programs."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import httpx

from support.processes import Program, wait_until

_PROGRAM = Path(__file__).with_name("gateway_program.py")


class Programs:
    """Starts programs beside the service."""

    def __init__(self, directory: Path, nats_url: str) -> None:
        self.nats_url = nats_url
        self._directory = directory
        self._started: list[Program] = []
        self.client = httpx.Client(trust_env=False)
        """One client for all requests: making one takes longer than a response."""

    def __call__(self, name: str, *argv: str) -> Program:
        self._started.append(Program(list(argv), self._directory / f"{name}.log"))
        return self._started[-1]

    def end(self) -> None:
        for program in reversed(self._started):
            program.end()
        self.client.close()


class GatewayProgram:
    """A gateway to which an agent delivers configurations."""

    def __init__(self, start: Programs, directory: Path, port: int) -> None:
        self._start, self._out, self._port = start, directory / "out", port
        self.pid_file = directory / "gateway.pid"
        self.options = ("--pid-file", str(self.pid_file), "--health", f"http://127.0.0.1:{port}/status")

    def run(self) -> None:
        config = self._out / "current" / "tensorzero.toml"
        wait_until(config.is_file)
        self._start("gateway", sys.executable, str(_PROGRAM), str(config), str(self._port), str(self.pid_file))

    def loaded(self) -> str:
        """The configuration that it runs with; empty before it runs."""
        try:
            return self._start.client.get(f"http://127.0.0.1:{self._port}/loaded").text
        except httpx.HTTPError:
            return ""

    def answer(self, asked: str = "function_name::agents_chat") -> str:
        """Its current response; empty if it fails."""
        body = {"model": f"tensorzero::{asked}", "messages": [{"role": "user", "content": "hello"}]}
        try:
            base = self._start.client.get(f"http://127.0.0.1:{self._port}/base").text
            answer = self._start.client.post(f"{base}/chat/completions", json=body)
        except httpx.HTTPError:
            return ""
        return str(answer.json()["choices"][0]["message"]["content"]) if answer.is_success else ""


def free_port() -> int:
    """A free port."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
