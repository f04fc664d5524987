"""Commands as real processes: started, awaited, stopped, and checked to have left nothing behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psutil

from support.waiting import LONGEST

T = TypeVar("T")

COMMAND = str(Path(sys.executable).with_name("model-registry"))
"""The command, as installed beside the Python that runs the tests."""


def wait_until(look: Callable[[], T], seconds: float = LONGEST) -> T:
    """Call `look` until its result is true, and return that. Fails with the last result."""
    deadline = time.monotonic() + seconds
    while not (seen := look()):
        assert time.monotonic() < deadline, f"still not so after {seconds} s: {seen!r}"
        time.sleep(0.01)
    return seen


def run(*arguments: str, environment: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run `model-registry` to its end."""
    return subprocess.run(
        [COMMAND, *arguments],
        env=surroundings(environment),
        capture_output=True,
        text=True,
        timeout=LONGEST,
        check=False,
    )


def surroundings(environment: Mapping[str, str] | None) -> dict[str, str]:
    """This process's environment with these variables added, and output lines wide enough to search for words."""
    # Compiling everything takes each command half a second, so it is compiled once, regardless of the shell's settings.
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    plain = {"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"}
    return {**inherited, **plain, **(environment or {})}


class Program:
    """A command that runs until it is stopped."""

    def __init__(self, argv: list[str], output: Path, environment: Mapping[str, str] | None = None) -> None:
        """Start it. Both output streams go to a file: a pipe that nobody reads would block it."""
        self.output = output
        with output.open("ab") as file:
            self._process = subprocess.Popen(
                argv, env=surroundings(environment), stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT
            )
        self.pid = self._process.pid

    @property
    def said(self) -> str:
        """Everything it has printed so far."""
        return self.output.read_text(errors="replace")

    def wait_for(self, pattern: str, seconds: float = LONGEST) -> re.Match[str]:
        """Wait until it prints a text. Fails at once if it exits before."""

        def look() -> re.Match[str] | None:
            found = re.search(pattern, self.said)
            assert found or self._process.poll() is None, f"ended with {self._process.returncode}:\n{self.said}"
            return found

        found = wait_until(look, seconds)
        assert found is not None
        return found

    def wait_for_end(self, seconds: float = LONGEST) -> int:
        """Its exit code, once it has exited by itself."""
        return self._process.wait(seconds)

    def tell(self, what: signal.Signals) -> None:
        """Send it a signal."""
        self._process.send_signal(what)

    def stop(self, how: signal.Signals = signal.SIGTERM, seconds: float = LONGEST) -> int:
        """Send it a signal, and wait for its exit code."""
        self.tell(how)
        return self.wait_for_end(seconds)

    def family(self) -> list[psutil.Process]:
        """The process and its descendants, as long as it is running."""
        own = psutil.Process(self.pid)
        return [own, *own.children(recursive=True)]

    def end(self) -> None:
        """Stop everything, whatever the outcome of the test."""
        if self._process.poll() is None:
            family = self.family()
            self.stop(signal.SIGTERM)
            for process in family:
                if process.is_running():
                    process.kill()


def alive(family: list[psutil.Process]) -> list[psutil.Process]:
    """Those still running. Zombies do not count: their parent has just not collected their exit code yet."""
    return [p for p in family if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]


@dataclass(frozen=True, slots=True)
class Service:
    """`model-registry serve` as a separate process, and an administrator's client for it."""

    program: Program
    url: str
    client: httpx.Client

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Add a row; fail with the service's message if it is refused."""
        response = self.client.post(path, json=body)
        assert response.status_code == 201, response.text
        row: dict[str, Any] = response.json()
        return row

    def patch(self, path: str, body: dict[str, Any]) -> None:
        """Change a row."""
        response = self.client.patch(path, json=body)
        assert response.status_code == 200, response.text

    def config(self) -> str:
        """The gateway's configuration, byte for byte as a gateway fetches it."""
        response = self.client.get("/api/tensorzero/config")
        assert response.status_code == 200, response.text
        return response.text


StartProgram = Callable[..., Program]
"""Start `model-registry` with these arguments: `start_program("serve", environment={...})`."""

StartService = Callable[..., Service]
"""Start the service on any free port: `start_service(MODEL_REGISTRY_AUTH_READS="true")`."""


def client_of(url: str, key: str | None) -> httpx.Client:
    """A client that ignores proxies of the environment."""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    return httpx.Client(base_url=url, headers=headers, trust_env=False, timeout=LONGEST)
