"""The log of a component, on a disk with space and on a full one."""

from __future__ import annotations

import os
import resource
import stat
from pathlib import Path

from model_registry.devstack.process_log import PartLog
from support.processes import wait_until


def say(log: PartLog, *lines: str) -> None:
    writing = log.begin()
    os.write(writing, "".join(f"{line}\n" for line in lines).encode())
    os.close(writing)


def test_output_is_appended_and_its_end_is_known(tmp_path: Path) -> None:
    log = PartLog(tmp_path / "logs" / "part.log")
    say(log, "first run")
    assert log.last_lines() == f"The end of {log.path}:\n  first run"
    say(log, *(str(number) for number in range(100)))

    assert log.last_lines().splitlines()[1:] == [f"  {number}" for number in range(85, 100)]
    assert log.path.read_text().splitlines() == ["first run", *(str(number) for number in range(100))]
    assert stat.S_IMODE(log.path.stat().st_mode) == 0o600


def test_on_a_full_disk_lines_are_lost_and_the_program_is_not_held_up(tmp_path: Path) -> None:
    log = PartLog(tmp_path / "part.log")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    writing = log.begin()
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        for number in range(3000):  # more than a pipe holds
            os.write(writing, f"{number:099}\n".encode())
    finally:
        wait_until(lambda: log.last_lines().endswith("2999"))
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert log.path.stat().st_size == 100

    os.write(writing, b"room again\n")
    os.close(writing)
    assert log.last_lines().endswith("  room again")
    assert log.path.read_text().endswith("0\nroom again\n")


def test_a_log_does_not_grow_without_end(tmp_path: Path) -> None:
    log = PartLog(tmp_path / "part.log", limit_bytes=50)
    say(log, "a" * 60, "b" * 60, "c")
    log.last_lines()

    assert log.path.read_text() == "c\n"
    assert (tmp_path / "part.log.1").read_text() == "b" * 60 + "\n"
