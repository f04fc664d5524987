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

from model_registry.errors import StackError
from model_registry.stack.strays import end_strays

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from model_registry.stack.system_user import SystemUser

_LOG_LIMIT_BYTES = 10_000_000
_TAIL_LINES = 15

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


class Part(ABC):
    """A program of the stack. It works in a directory of its own, by which it is also found again."""

    name: ClassVar[str]
    programs: ClassVar[frozenset[str]]
    """The process names that can be found at work in our directory."""
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM
    patience: ClassVar[float] = 10
    """Seconds between asking to stop and SIGKILL."""

    def __init__(self, home: Path, log: Path) -> None:
        self.home = home
        self.log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._log_start = 0

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

    def _launch(self, argv: Sequence[str], *, environment: Mapping[str, str], run_as: SystemUser | None = None) -> None:
        """Start the program in its directory, in a session of its own: Ctrl-C is for us, and we stop parts in order."""
        self.log.parent.mkdir(exist_ok=True)
        if self.log.exists() and self.log.stat().st_size > _LOG_LIMIT_BYTES:
            self.log.replace(self.log.with_name(f"{self.log.name}.1"))
        with self.log.open("ab") as log, signals_deferred():
            self._log_start = log.tell()
            self._process = subprocess.Popen(
                argv,
                cwd=self.home,
                env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8", **environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                user=run_as.uid if run_as else None,
                group=run_as.gid if run_as else None,
                extra_groups=[] if run_as else None,
            )

    def _wait_until(self, ready: Callable[[], bool], *, seconds: float) -> None:
        """Return when `ready` says so.

        Raises:
            StackError: the program ended first, or `seconds` passed; carries the end of its log.
        """
        deadline = time.monotonic() + seconds
        while not ready():
            code = self._process.poll() if self._process is not None else None
            if self._process is None or code is not None:
                raise StackError(f"{self.name} ended while starting (exit code {code}). {self._tail()}")
            if time.monotonic() > deadline:
                self.kill()
                raise StackError(f"{self.name} was not ready after {seconds:.0f} s. {self._tail()}")
            time.sleep(0.01)

    def _tail(self) -> str:
        """What the program said last, for an error message."""
        with self.log.open("rb") as log:
            log.seek(self._log_start)
            lines = log.read().decode(errors="replace").splitlines()[-_TAIL_LINES:]
        return "\n".join([f"The end of {self.log}:", *(f"  {line}" for line in lines)])
