"""The real SMG, started as we start it, on a file of workers that the test writes."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from model_registry.devstack.smg import FOLLOWING, smg_program
from model_registry.private_files import replace_file
from support.gateway_client import free_port
from support.processes import Program, wait_until

_AGENT = Path(__file__).with_name("children") / "agent_of.py"


def agent_of(gateway: str, registry: str, directory: Path, *notified: str) -> list[str]:
    """The command of a gateway's agent; `notified`: its file with a process id, and where it says how it is."""
    return [sys.executable, str(_AGENT), gateway, registry, str(directory), *notified]


class SmgProgram:
    """A running one."""

    def __init__(self, directory: Path, manifest: Path | None = None) -> None:
        self.manifest = manifest or directory / "workers.json"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        here = ["--host", "127.0.0.1", "--port", str(self.port), "--prometheus-host", "127.0.0.1"]
        here += ["--prometheus-port", str(free_port()), "--discovery-file", str(self.manifest)]
        # The last one counts: at `info` it says what it reads.
        argv = [smg_program(), "launch", *here, *FOLLOWING, "--log-level", "info"]
        self.program = Program(argv, directory / "smg.log")

    def put(self, text: bytes) -> None:
        """Replace the file of workers."""
        replace_file(self.manifest, text)

    def models(self) -> dict[str, list[str]]:
        """Worker's id -> the models that it serves, for those that are ready."""
        workers = httpx.get(f"{self.url}/workers").json()["workers"]
        return {
            worker["labels"]["smg.ai/discovery-id"]: [model["id"] for model in worker["models"]]
            for worker in workers
            if worker["status"] == "ready"
        }

    def ask(self, model: str, **more: Any) -> httpx.Response:
        """Ask a model to chat."""
        messages = [{"role": "user", "content": "hello"}]
        return httpx.post(f"{self.url}/v1/chat/completions", json={"model": model, "messages": messages, **more})

    def answer(self, model: str) -> str:
        """The answer of a model; empty when there is none."""
        answer = self.ask(model)
        return str(answer.json()["choices"][0]["message"]["content"]) if answer.is_success else ""


@contextmanager
def running_smg(directory: Path, manifest: Path | None = None) -> Iterator[SmgProgram]:
    """SMG, once it answers."""
    smg = SmgProgram(directory, manifest)
    try:
        wait_until(lambda: _is_up(smg))
        yield smg
    finally:
        # It takes up to ten seconds to end by itself, for callers that no test has.
        smg.program.stop(signal.SIGKILL)


def _is_up(smg: SmgProgram) -> bool:
    try:
        return httpx.get(f"{smg.url}/liveness").is_success
    except httpx.TransportError:
        return False


def workers_in(text: bytes) -> list[dict[str, str]]:
    """The workers of a list."""
    workers: list[dict[str, str]] = json.loads(text)["workers"]
    return workers
