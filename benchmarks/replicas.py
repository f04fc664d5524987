"""Replicas of the registry as processes that are killed and started again."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import httpx

from model_registry.devstack.ports import LOOPBACK, choose_port
from model_registry.errors import StackError
from servers import API_KEY, COMMAND, surroundings

_START_SECONDS = 180
_SHOWN_OF_LOG = 2000


class Replica:
    """`model-registry serve` as a process that can be killed, and restarted on the same port with the same cache."""

    def __init__(self, number: int, port: int, environment: dict[str, str], scratch: Path) -> None:
        self._port = port
        own = {"MODEL_REGISTRY_API_KEY": API_KEY, "MODEL_REGISTRY_CACHE_DIR": str(scratch / f"cache-{number}")}
        self._environment = {**surroundings(), **environment, **own}
        self._log = scratch / f"replica-{number}.log"
        self._process: subprocess.Popen[bytes] | None = None
        self.name = f"replica {number}"
        self.url = f"http://{LOOPBACK}:{self._port}"

    @property
    def state(self) -> str:
        """Whether it is running, and the end of its log."""
        code = self._process.poll() if self._process is not None else None
        return f"{'runs' if code is None else f'ended with {code}'}; {self._log.read_text()[-_SHOWN_OF_LOG:]}"

    def start(self) -> None:
        """Start it and return when it responds. Errors: StackError."""
        with self._log.open("ab") as log:
            argv = [COMMAND, "serve", "--port", str(self._port)]
            self._process = subprocess.Popen(argv, env=self._environment, stdout=log, stderr=log)
        deadline = time.monotonic() + _START_SECONDS
        with httpx.Client(trust_env=False) as client:
            while time.monotonic() < deadline and self._process.poll() is None:
                try:
                    client.get(f"{self.url}/healthz")
                except httpx.HTTPError:
                    time.sleep(0.05)
                else:
                    return
        self.kill()
        raise StackError(f"{self.name} did not come up: {self.state}")

    def kill(self) -> None:
        """Kill it with SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()


def make_replicas(count: int, environment: dict[str, str], scratch: Path) -> list[Replica]:
    """Replicas on ports of their own, not started yet."""
    ports: set[int] = set()
    for _ in range(count):
        ports.add(choose_port(None, taken=ports))
    return [Replica(number, port, environment, scratch) for number, port in enumerate(ports)]
