"""`model-registry up`: everything on this machine with one command, and nothing left of it afterwards."""

from __future__ import annotations

import re
import signal
import socket
import stat
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import psutil
import pytest

from support.processes import COMMAND, Program, alive, client_of, run, surroundings, wait_until
from support.waiting import LONGEST

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

    def begin(self, *options: str) -> Program:
        """Start it, and do not wait."""
        self._starts += 1
        output = self._data_dir.with_name(f"{self._data_dir.name}-{self._starts}.log")
        argv = [COMMAND, "up", "--data-dir", str(self._data_dir), "--port", "0", *options]
        program = Program(argv, output)
        self._exits.callback(program.end)
        return program

    def start(self, *options: str) -> Up:
        """Start it, and wait until it is ready."""
        program = self.begin(*options)
        ready = program.wait_for(READY.pattern.replace("^", "(?m)^"))
        client = self._exits.enter_context(client_of(ready[1], ready[2]))
        return Up(program, self._data_dir, ready[1], ready[2], client, program.family())


def _starter(exits: ExitStack) -> Starter:
    # Not below pytest's own directory: every run that begins closes it to the user that Postgres runs as for root.
    return Starter(Path(exits.enter_context(TemporaryDirectory(prefix="registry-up-"))) / "data", exits)


@pytest.fixture
def starter() -> Iterator[Starter]:
    with ExitStack() as exits:
        yield _starter(exits)


@pytest.fixture(scope="module")
def running() -> Iterator[Up]:
    """One that the tests of this module only look at."""
    with ExitStack() as exits:
        yield _starter(exits).start()


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


def shell(up: Up, script: str) -> subprocess.CompletedProcess[str]:
    """Run a script in a shell that has read `stack.env`, as the README says."""
    path = f"{Path(COMMAND).parent}:{surroundings(None)['PATH']}"
    return subprocess.run(
        ["/bin/sh", "-ec", f'. "$0"\n{script}', str(up.data_dir / "stack.env")],
        env=surroundings({"PATH": path}),
        capture_output=True,
        text=True,
        timeout=LONGEST,
        check=False,
    )


def test_it_says_one_line_per_part_and_then_the_url_and_the_key(running: Up) -> None:
    said = running.program.said
    lines = {line.split()[0]: line for line in said.splitlines()}
    assert lines.keys() == {"Postgres", "PostgREST", "NATS", "schema", "ready"}
    assert said.splitlines()[-1] == lines["ready"]
    assert str(running.data_dir / "stack.env") in lines["ready"]
    assert len(running.key) > 40


def test_everything_is_ready_and_seeded_when_it_says_so(running: Up) -> None:
    ready = running.client.get("/readyz").json()
    assert ready["dependencies"]["database"]["status"] == "ok"
    wait_until(lambda: running.client.get("/readyz").json()["status"] == "ready")
    assert running.count("providers") >= 12
    assert running.count("models") >= 40
    assert running.client.get("/api/tensorzero/config").status_code == 200


def test_the_environment_file_is_its_owners_and_a_shell_can_use_it(running: Up) -> None:
    assert stat.S_IMODE((running.data_dir / "stack.env").stat().st_mode) == 0o600
    done = shell(
        running,
        """
        key=$(model-registry keys create "from a shell" --scope admin)
        model-registry keys list
        model-registry db status
        model-registry tensorzero render | head -1
        echo "key=$key"
        """,
    )
    assert done.returncode == 0, done.stderr
    assert "from a shell" in done.stdout
    assert "applied  0001_roles" in done.stdout
    assert "Generated by the model registry" in done.stdout
    made = done.stdout.rsplit("key=", 1)[1].strip()
    with client_of(running.url, made) as client:
        wait_until(lambda: client.post("/api/providers", json={"name": "p", "type": "x"}).status_code == 422)


def test_the_environment_file_names_everything_that_listens(running: Up) -> None:
    done = shell(running, 'echo "$MODEL_REGISTRY_URL $MODEL_REGISTRY_API_KEY $POSTGREST_URL $NATS_URL $DATABASE_URL"')
    url, key, postgrest, nats, database = done.stdout.split()
    assert (url, key) == (running.url, running.key)
    assert httpx.get(f"{postgrest}/v_active_models?limit=1", trust_env=False).status_code == 200
    assert nats.startswith("nats://")
    assert database.startswith("postgresql://")


def test_a_second_one_in_the_same_directory_is_refused_and_disturbs_nobody(running: Up) -> None:
    done = run("up", "--data-dir", str(running.data_dir), "--port", "0")
    assert done.returncode == 3
    assert f"in use by process {running.program.pid}" in done.stderr
    assert "Traceback" not in done.stderr
    assert running.client.get("/readyz").status_code == 200


def test_a_taken_port_is_a_clear_error_and_nothing_is_left_running(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = run("up", "--data-dir", str(tmp_path / "data"), "--port", port)
    assert done.returncode == 3
    assert f"port {port}" in done.stderr
    assert "--port" in done.stderr
    assert "Traceback" not in done.stderr
    assert at_work_in(tmp_path) == []


def test_what_was_written_is_there_again_after_a_stop_and_after_a_crash(starter: Starter) -> None:
    first = starter.start("--no-seed")
    assert (first.count("providers"), first.count("models")) == (0, 0)
    first.add("kept")
    wait_until(lambda: first.client.get("/readyz").json()["status"] == "ready")
    said = first.program.said
    assert first.program.stop(signal.SIGINT) == 0
    assert first.program.said == f"{said}stopped\n"
    assert alive(first.family) == []
    assert at_work_in(first.data_dir) == []

    second = starter.start("--no-seed")
    assert second.key == first.key
    assert (second.knows("kept"), second.count("models")) == (True, 0)
    second.add("acknowledged")
    assert second.program.stop(signal.SIGKILL) == -signal.SIGKILL
    assert at_work_in(second.data_dir) != []  # a kill leaves the servers behind

    third = starter.start()  # and the next start takes their place
    assert third.key == first.key
    assert third.knows("kept")
    assert third.knows("acknowledged")
    assert third.count("models") >= 40
    assert alive(second.family) == []
    assert third.program.stop(signal.SIGTERM) == 0
    assert "Traceback" not in third.program.said
    assert at_work_in(third.data_dir) == []


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGHUP])
def test_it_can_be_told_to_stop_while_it_starts(starter: Starter, how: signal.Signals) -> None:
    program = starter.begin()
    program.wait_for(r"NATS|Postgres")
    family = program.family()
    assert program.stop(how) == 0
    assert "Traceback" not in program.said
    assert alive(family) == []
