"""`model-registry up` as a separate process: starting it, inspecting it, and finding processes that it left behind."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import psutil

from support.processes import COMMAND, Program, client_of

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
    """Starts the command repeatedly in one data directory."""

    def __init__(self, data_dir: Path, exits: ExitStack) -> None:
        self._data_dir = data_dir
        self._exits = exits
        self._starts = 0

    def begin(self, *options: str, program: Sequence[str] = (COMMAND,)) -> Program:
        """Start it without waiting."""
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
    """Every process whose working directory is below this one, regardless of who started it."""
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
    """A separate data directory. Processes still running at the end are stopped."""
    # Not below pytest's own directory: each new run closes it to the user as which Postgres runs under root.
    with TemporaryDirectory(prefix="registry-up-") as directory, ExitStack() as exits:
        yield Starter(Path(directory) / "data", exits)
