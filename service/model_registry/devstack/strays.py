"""Finds and ends processes that an earlier run left in one of our directories.

A process is ours when it runs one of our programs *and* its working directory is the server's own, as with Postgres's
children. So no file of process ids can be missing, stale, or name an unrelated process.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import psutil

from model_registry.errors import StackError

if TYPE_CHECKING:
    import signal
    from collections.abc import Iterator
    from pathlib import Path

# Postgres's children notice the death of their server within moments, unless they hang.
_ORPHANS_SECONDS = 2
_KILLED_WITHIN_SECONDS = 5


def end_strays(programs: frozenset[str], home: Path, *, ask: signal.Signals, patience: float) -> None:
    """End every process of `programs` that works in `home`: send `ask`, wait `patience` seconds, kill.

    Call only while holding the data directory's lock: then no other stack can have started them.

    Raises:
        StackError: a process survives SIGKILL.
    """
    asked = False
    for process in _at_work(programs, home):
        # Postgres's children show titles instead of paths, and end with their server, which shows a path.
        with suppress(psutil.Error):
            if next(iter(process.cmdline()), "").startswith("/"):
                process.send_signal(ask)
                asked = True
    if _all_gone(programs, home, within=patience if asked else _ORPHANS_SECONDS):
        return
    for process in _at_work(programs, home):
        with suppress(psutil.Error):
            process.kill()
    if not _all_gone(programs, home, within=_KILLED_WITHIN_SECONDS):
        pids = ", ".join(str(process.pid) for process in _at_work(programs, home))
        raise StackError(f"An earlier run left processes in {home} that do not end: {pids}. End them and start again")


def reap_orphans(programs: frozenset[str], *, but: int | None) -> None:
    """Reap zombies of `programs` that became our children, as happens when we are process 1 of a container."""
    for process in psutil.Process().children():
        with suppress(psutil.Error, ChildProcessError):
            if process.pid != but and process.name() in programs and process.status() == psutil.STATUS_ZOMBIE:
                os.waitpid(process.pid, os.WNOHANG)


def remove_stale_lock(lock: Path, programs: frozenset[str], home: Path) -> None:
    """Remove a lock file whose first line is not the id of one of our processes.

    Any process may have this id: ids are reused, and zombies keep theirs.

    Raises:
        StackError: one of our programs runs in `home` under this id.
    """
    try:
        pid = int(lock.read_bytes().split(b"\n", 1)[0])
    except FileNotFoundError:
        return
    except ValueError:  # half written when the machine stopped
        pid = 0
    if any(process.pid == pid for process in _at_work(programs, home)):
        raise StackError(f"{lock} belongs to process {pid}, which runs in {home}. End it and start again")
    lock.unlink(missing_ok=True)


def _all_gone(programs: frozenset[str], home: Path, *, within: float) -> bool:
    """Wait until no process is left, and return whether that happened in time."""
    deadline = time.monotonic() + within
    while next(_at_work(programs, home), None) is not None:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _at_work(programs: frozenset[str], home: Path) -> Iterator[psutil.Process]:
    """Yield our processes. Zombies have no directory, and other users' processes hide theirs: neither is ours."""
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.name() in programs and process.cwd() == str(home):
                yield process
