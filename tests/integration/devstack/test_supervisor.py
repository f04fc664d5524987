"""Servers of a stack that die, as real processes: reported, restarted, and given up if that does not help."""

from __future__ import annotations

import errno
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest

from model_registry.devstack import supervisor
from model_registry.devstack.nats import Nats
from model_registry.devstack.ports import choose_port
from model_registry.devstack.supervisor import Supervisor
from model_registry.errors import StackError
from support.processes import wait_until


class Watched:
    """A NATS server under supervision, and the messages about it."""

    def __init__(self, directory: Path) -> None:
        self.nats = Nats(directory / "nats", directory / "nats.log", port=choose_port(None, taken=set()), token="t0ken")  # noqa: S106 (made up)
        self.said: list[str] = []
        self.reasons: list[StackError] = []
        self.exits = ExitStack()
        self.full_disk = False
        self.port_is_taken = False
        self.supervisor = Supervisor([self.nats], say=self.say, give_up=self.reasons.append)
        self.nats.start()

    def say(self, line: str) -> None:
        self.said.append(line)
        if self.full_disk:
            raise OSError(errno.ENOSPC, "No space left on device")
        if self.port_is_taken and len(self.said) == 1:
            self.exits.enter_context(socket.create_server(("127.0.0.1", self.nats.port)))

    def die(self) -> psutil.Process:
        """Kill the server as the kernel does when memory is short, behind the back of the one who started it."""
        assert self.nats.pid is not None
        process = psutil.Process(self.nats.pid)
        process.kill()
        return process

    def back(self, before: psutil.Process) -> None:
        """Wait until it runs again, as another process."""
        wait_until(lambda: self.nats.pid not in {None, before.pid} and "runs again" in self.said[-1])


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watched]:
    monkeypatch.setattr(supervisor, "PAUSES", (0.01, 0.02, 0.03, 0.04))
    own = Watched(tmp_path)
    yield own
    own.supervisor.stop()
    own.exits.close()
    assert own.nats.pid is None


def test_a_killed_server_is_reported_with_its_last_lines_and_restarted_at_its_address(watched: Watched) -> None:
    watched.supervisor.start()
    dead = watched.die()

    watched.back(dead)

    assert not dead.is_running(), "reaped: no zombie is left"
    died, again = watched.said
    assert died.startswith("NATS       was killed (SIGKILL); it is started again in 0.01 s. The end of ")
    assert "Server is ready" in died
    assert again.startswith("NATS       runs again")
    assert watched.reasons == []


def test_a_part_that_died_before_it_was_watched_is_noticed(watched: Watched) -> None:
    dead = watched.die()

    watched.supervisor.start()

    watched.back(dead)


def test_a_server_is_restarted_even_when_reporting_fails(watched: Watched) -> None:
    watched.full_disk = True
    watched.supervisor.start()

    watched.back(watched.die())


def test_a_part_that_cannot_start_any_more_is_given_up_with_the_reason_after_growing_pauses(watched: Watched) -> None:
    watched.port_is_taken = True
    watched.supervisor.start()

    watched.die()

    wait_until(lambda: watched.reasons)
    (reason,) = watched.reasons
    assert reason.message.startswith("NATS ended, or did not start, 5 times in a row, so everything is stopped.")
    assert f"NATS cannot have port {watched.nats.port}: another program listens there" in reason.message
    assert re.findall(r"in ([\d.]+) s", "".join(watched.said)) == ["0.01", "0.02", "0.03", "0.04"]


def test_a_part_that_dies_again_and_again_is_given_up(watched: Watched) -> None:
    watched.supervisor.start()

    for death in range(5):
        dead = watched.die()
        if death < 4:
            watched.back(dead)

    wait_until(lambda: watched.reasons)
    assert "The last time it was killed (SIGKILL)" in watched.reasons[0].message


def test_deaths_are_in_a_row_only_when_the_part_did_not_run_well_between_them(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "STEADY_SECONDS", 0.0)
    watched.supervisor.start()

    for _ in range(7):
        watched.back(watched.die())

    assert watched.reasons == []


def test_a_stop_ends_a_pause_at_once(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "PAUSES", (3600.0,))
    watched.supervisor.start()
    watched.die()
    wait_until(lambda: watched.said)

    watched.supervisor.stop()

    assert watched.nats.pid is None
    assert watched.said[1:] == []


# Where the system hands orphans to us, as it does to process 1 of a container.
_ADOPTS = """
import ctypes, sys
from pathlib import Path
import psutil
from model_registry.devstack.postgres import Postgres
from model_registry.devstack.supervisor import Supervisor

assert ctypes.CDLL(None).prctl(36, 1, 0, 0, 0) == 0  # PR_SET_CHILD_SUBREAPER
here = Path(sys.argv[1])
postgres = Postgres(here / "postgres", here / "postgres.log", durable=False)
postgres.start()
again = __import__("threading").Event()
supervisor = Supervisor([postgres], say=lambda line: again.set() if "again  (" in line else None, give_up=print)
supervisor.start()
psutil.Process(postgres.pid).kill()
assert again.wait(60)
print(sorted(child.status() for child in psutil.Process().children()), flush=True)
supervisor.stop()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux hands orphans to another process than the first")
def test_the_orphans_of_a_killed_postgres_are_reaped_where_they_become_ours(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _ADOPTS, tmp_path], capture_output=True, text=True, timeout=90, check=False
    )

    assert done.stdout == "['sleeping']\n", done.stderr
