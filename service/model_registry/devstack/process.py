"""One program that runs as our child: started, waited for, asked to stop, killed.

What a program is told, and how it shows that it is ready, is in the file of its part.
A child does not die with us: what a SIGKILL of ours leaves behind is found by `strays.py` at the next start. (The
kernel's parent-death signal would follow the *thread* that started the child, and parts are started from threads that
end.)
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from abc import ABC, abstractmethod
from contextlib import contextmanager
from typing import TYPE_CHECKING, ClassVar

from model_registry.devstack.process_log import PartLog
from model_registry.devstack.strays import end_strays, reap_orphans
from model_registry.errors import StackError
from model_registry.private_files import keep_private, make_private_directory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from model_registry.devstack.system_user import SystemUser

_UMASK = 0o077
"""What a part writes is for its own user, whatever the shell's umask says."""

_STOP = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def signals_deferred() -> Iterator[None]:
    """Handle signals that say to stop at the end of the block.

    Their exception comes up wherever the main thread stands. Between the fork of a child and our knowing its process
    id, which takes long on a busy machine, that would leave a child that nobody stops. Other threads never see it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    handlers = {number: signal.getsignal(number) for number in _STOP}
    try:
        for number in _STOP:
            signal.signal(number, lambda number, _frame: came.append(number))
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for told in came:
            signal.raise_signal(told)


class StackProcess(ABC):
    """A program of the stack. It works in a directory of its own, by which it is also found again."""

    name: ClassVar[str]
    programs: ClassVar[frozenset[str]]
    """The process names that can be found at work in our directory."""
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM
    patience: ClassVar[float] = 10
    """Seconds between asking to stop and SIGKILL."""

    def __init__(self, home: Path, log: Path) -> None:
        self.home = home
        self._said = PartLog(log)
        self._process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def start(self) -> None:
        """Start it and return when it is ready; do nothing when it runs.

        Raises:
            StackError: it cannot be started; says why and what to do.
        """

    @property
    def pid(self) -> int | None:
        """Its process id while it runs."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def wait(self) -> int:
        """Return when it has ended, with its exit code (minus the signal's number when it was killed). Reaps it."""
        return self._process.wait() if self._process is not None else 0

    def stop(self) -> None:
        """Ask it to end, wait `patience` seconds, then kill it."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.send_signal(self.stop_signal)
            try:
                self._process.wait(self.patience)
            except subprocess.TimeoutExpired:
                self.kill()

    def kill(self) -> None:
        """End it with SIGKILL, as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    @classmethod
    def end_strays(cls, home: Path) -> None:
        """End what an earlier run of this part left at work in `home`."""
        end_strays(cls.programs, home, ask=cls.stop_signal, patience=cls.patience)

    def reap_orphans(self) -> None:
        """Take note of the ends of its own children, where the system makes us their parent once it is dead."""
        reap_orphans(self.programs, but=self.pid)

    def last_lines(self) -> str:
        """What the program said last, for a message to people."""
        return self._said.last_lines()

    def _write_settings(self, name: str, text: str) -> None:
        """Write what the program reads, in its directory."""
        make_private_directory(self.home)
        keep_private(self.home / name, text.encode())

    def _launch(self, argv: Sequence[str], *, environment: Mapping[str, str], run_as: SystemUser | None = None) -> None:
        """Start the program in its directory, in a session of its own: Ctrl-C is for us, and we stop parts in order."""
        writing = self._said.begin()
        try:
            with signals_deferred():
                self._process = subprocess.Popen(
                    argv,
                    cwd=self.home,
                    env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8", **environment},
                    stdin=subprocess.DEVNULL,
                    stdout=writing,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    umask=_UMASK,
                    user=run_as.uid if run_as else None,
                    group=run_as.gid if run_as else None,
                    extra_groups=[] if run_as else None,
                )
        finally:
            os.close(writing)

    def _wait_until(self, ready: Callable[[], bool], *, seconds: float) -> None:
        """Return when `ready` says so.

        Raises:
            StackError: the program ended first, or `seconds` passed; carries the end of its log.
        """
        deadline = time.monotonic() + seconds
        while not ready():
            code = self._process.poll() if self._process is not None else None
            if self._process is None or code is not None:
                raise StackError(f"{self.name} ended while starting (exit code {code}). {self.last_lines()}")
            if time.monotonic() > deadline:
                self.kill()
                raise StackError(f"{self.name} was not ready after {seconds:.0f} s. {self.last_lines()}")
            time.sleep(0.01)
