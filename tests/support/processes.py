"""Commands as real processes, `up` among them: started, told to stop, and shown to have left nothing behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import httpx
import psutil

from support.waiting import LONGEST

T = TypeVar("T")

COMMAND = str(Path(sys.executable).with_name("model-registry"))
"""The command as it is installed beside the Python that runs the tests."""


def wait_until(look: Callable[[], T], seconds: float = LONGEST) -> T:
    """Look until what is seen is true, and return it. Fails with what was seen last."""
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
    """This process's environment with these variables added, and lines wide enough to look for words in."""
    # Compiling everything anew takes every command half a second, so it is compiled once whatever the shell says.
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    plain = {"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"}
    return {**inherited, **plain, **(environment or {})}


class Program:
    """A command that runs until it is told to stop."""

    def __init__(self, argv: list[str], output: Path, environment: Mapping[str, str] | None = None) -> None:
        """Start it. What it says, on both streams, goes to a file: a pipe nobody reads would hold it up."""
        self.output = output
        with output.open("ab") as file:
            self._process = subprocess.Popen(
                argv, env=surroundings(environment), stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT
            )
        self.pid = self._process.pid

    @property
    def said(self) -> str:
        """Everything it said so far."""
        return self.output.read_text(errors="replace")

    def wait_for(self, pattern: str, seconds: float = LONGEST) -> re.Match[str]:
        """Wait until it says something. Fails at once when it ends before."""

        def look() -> re.Match[str] | None:
            found = re.search(pattern, self.said)
            assert found or self._process.poll() is None, f"ended with {self._process.returncode}:\n{self.said}"
            return found

        found = wait_until(look, seconds)
        assert found is not None
        return found

    def wait_for_end(self, seconds: float = LONGEST) -> int:
        """Its exit code, once it has ended by itself."""
        return self._process.wait(seconds)

    @property
    def ended(self) -> bool:
        """Whether it has ended by itself."""
        return self._process.poll() is not None

    def tell(self, what: signal.Signals) -> None:
        """Send it a signal."""
        self._process.send_signal(what)

    def stop(self, how: signal.Signals = signal.SIGTERM, seconds: float = LONGEST) -> int:
        """Send it a signal, and wait for its exit code."""
        self.tell(how)
        return self.wait_for_end(seconds)

    def family(self) -> list[psutil.Process]:
        """The process and all that it has started, as long as it runs."""
        own = psutil.Process(self.pid)
        return [own, *own.children(recursive=True)]

    def end(self) -> None:
        """Leave nothing running, however the test went."""
        if self._process.poll() is None:
            family = self.family()
            self.stop(signal.SIGTERM)
            for process in family:
                if process.is_running():
                    process.kill()


def alive(family: list[psutil.Process]) -> list[psutil.Process]:
    """Those that still run. A zombie does not: its parent has only not asked yet."""
    return [p for p in family if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]


@dataclass(frozen=True, slots=True)
class Service:
    """`model-registry serve` as a process of its own, and an administrator's client for it."""

    program: Program
    url: str
    client: httpx.Client

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Add a row; fail with the service's words unless it is there afterwards."""
        response = self.client.post(path, json=body)
        assert response.status_code == 201, response.text
        row: dict[str, Any] = response.json()
        return row

    def patch(self, path: str, body: dict[str, Any]) -> None:
        """Change a row."""
        response = self.client.patch(path, json=body)
        assert response.status_code == 200, response.text

    def config(self) -> str:
        """The gateway's configuration, byte by byte as the gateway would fetch it."""
        response = self.client.get("/api/tensorzero/config")
        assert response.status_code == 200, response.text
        return response.text


StartProgram = Callable[..., Program]
"""Start `model-registry` with these arguments: `start_program("serve", environment={...})`."""

StartService = Callable[..., Service]
"""Start the service on any free port: `start_service(MODEL_REGISTRY_AUTH_READS="true")`."""


def client_of(url: str, key: str | None) -> httpx.Client:
    """A client that no proxy of the environment steers elsewhere."""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    return httpx.Client(base_url=url, headers=headers, trust_env=False, timeout=LONGEST)


READY = re.compile(r"^ready +(http://127\.0\.0\.1:\d+)  API key: (\S+)", re.MULTILINE)


@dataclass(frozen=True)
class Up:
    """A running `model-registry up`, and an administrator's client for it."""

    program: Program
    data_dir: Path
    url: str
    key: str
    client: httpx.Client
    family: list[psutil.Process]

    def add(self, provider: str) -> None:
        answer = self.client.post("/api/providers", json={"name": provider, "type": "openai"})
        assert answer.status_code == 201, answer.text

    def knows(self, provider: str) -> bool:
        return self.client.get(f"/api/providers/{provider}").status_code == 200

    def count(self, plural: str) -> int:
        return int(self.client.get(f"/api/{plural}").json()["count"])


class Starter:
    """Starts the command in one data directory again and again."""

    def __init__(self, data_dir: Path, exits: ExitStack) -> None:
        self._data_dir = data_dir
        self._exits = exits
        self._starts = 0

    def begin(self, *options: str, program: Sequence[str] = (COMMAND,)) -> Program:
        """Start it, and do not wait."""
        self._starts += 1
        output = self._data_dir.with_name(f"{self._data_dir.name}-{self._starts}.log")
        argv = [*program, "up", "--data-dir", str(self._data_dir), "--port", "0", *options]
        started = Program(argv, output)
        self._exits.callback(started.end)
        return started

    def start(self, *options: str, program: Sequence[str] = (COMMAND,)) -> Up:
        """Start it, and wait until it is ready."""
        started = self.begin(*options, program=program)
        ready = started.wait_for(READY.pattern.replace("^", "(?m)^"))
        client = self._exits.enter_context(client_of(ready[1], ready[2]))
        return Up(started, self._data_dir, ready[1], ready[2], client, started.family())


def at_work_in(directory: Path) -> list[psutil.Process]:
    """Every process whose working directory is below this one, whoever started it."""
    found = []
    for process in psutil.process_iter():
        try:
            if Path(process.cwd()).is_relative_to(directory):
                found.append(process)
        except psutil.Error:
            continue
    return found


@contextmanager
def starting() -> Iterator[Starter]:
    """A data directory of its own. What still runs at the end is stopped."""
    # Not below pytest's own directory: every run that begins closes it to the user that Postgres runs as for root.
    with TemporaryDirectory(prefix="registry-up-") as directory, ExitStack() as exits:
        yield Starter(Path(directory) / "data", exits)
