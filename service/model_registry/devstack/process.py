"""One program that runs as our child: start, wait for, stop, kill, and keep a log of its output.

Each server's settings and its check for readiness are in its own file.
A child survives a SIGKILL of this process; `strays.py` finds it at the next start. (The kernel's parent-death signal
would follow the *thread* that started the child, and servers are started from threads that end.)
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING, ClassVar

from model_registry.devstack.strays import end_strays, reap_orphans
from model_registry.errors import StackError
from model_registry.private_files import keep_private, make_private_directory, open_private

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from model_registry.devstack.system_user import SystemUser

_UMASK = 0o077
"""Files of the servers are private to their user, whatever the shell's umask."""

_STOP = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_LIMIT_BYTES = 10_000_000
"""A log of this size is renamed to `.1`, and a new one begun."""
_LAST_LINES = 15
_LINE_BYTES = 10_000
_REST_SECONDS = 1.0
"""Wait for the thread to read an ended program's last output; surviving children may keep the pipe open longer."""


@contextmanager
def signals_deferred() -> Iterator[None]:
    """Defer signals that ask to stop until the end of the block.

    Their exception is raised wherever the main thread is. Between a child's fork and the return of its process id,
    which takes long on a busy machine, that would leave a child that nobody stops. Other threads are unaffected.
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
        for deferred in came:
            signal.raise_signal(deferred)


class StackProcess(ABC):
    """A program of the stack. It works in its own directory, by which strays are found."""

    name: ClassVar[str]
    programs: ClassVar[frozenset[str]]
    """Process names that may run in our directory."""
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM
    patience: ClassVar[float] = 10
    """Seconds between the stop signal and SIGKILL."""

    def __init__(self, home: Path, log: Path) -> None:
        self.home = home
        self._log = PartLog(log)
        self._process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def start(self) -> None:
        """Start the program and return when it is ready; do nothing when it runs.

        Raises:
            StackError: it cannot be started; the message has the reason and the remedy.
        """

    @property
    def pid(self) -> int | None:
        """The process id while the program runs."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def wait(self) -> int:
        """Wait for the end, reap the process, and return its exit code (minus the signal's number when killed)."""
        return self._process.wait() if self._process is not None else 0

    def stop(self) -> None:
        """Send the stop signal, wait `patience` seconds, then kill."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.send_signal(self.stop_signal)
            try:
                self._process.wait(self.patience)
            except subprocess.TimeoutExpired:
                self.kill()

    def kill(self) -> None:
        """End the program with SIGKILL, as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    @classmethod
    def end_strays(cls, home: Path) -> None:
        """End processes that an earlier run left in `home`."""
        end_strays(cls.programs, home, ask=cls.stop_signal, patience=cls.patience)

    def reap_orphans(self) -> None:
        """Reap the dead program's own children, where the system makes us their parent."""
        reap_orphans(self.programs, but=self.pid)

    def last_lines(self) -> str:
        """Return the last lines of the program's output, for a message."""
        return self._log.last_lines()

    def _write_settings(self, name: str, text: str) -> None:
        """Write the program's settings file into its directory."""
        make_private_directory(self.home)
        keep_private(self.home / name, text.encode())

    def _launch(self, argv: Sequence[str], *, run_as: SystemUser | None = None) -> None:
        """Start the program in its directory and its own session: Ctrl-C must not reach it, as we stop in order."""
        writing = self._log.begin()
        try:
            with signals_deferred():
                self._process = subprocess.Popen(
                    argv,
                    cwd=self.home,
                    env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8"},
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
        """Wait until `ready` returns true.

        Raises:
            StackError: the program ended first, or `seconds` passed; carries the end of its log.
        """
        deadline = time.monotonic() + seconds
        while not ready():
            code = self._process.poll() if self._process is not None else None
            if self._process is None or code is not None:
                raise StackError(f"{self.name} exited while starting (exit code {code}). {self.last_lines()}")
            if time.monotonic() > deadline:
                self.kill()
                raise StackError(f"{self.name} was not ready after {seconds:.0f} s. {self.last_lines()}")
            time.sleep(0.01)


class PartLog:
    """The log of one server, over successive runs: copied from a pipe, in a thread.

    The program never writes to the disk itself. A full disk then only loses lines: PostgREST, for example, answers 500
    to every request that it cannot log.
    """

    def __init__(self, path: Path, limit_bytes: int = _LIMIT_BYTES) -> None:
        self.path = path
        self._limit_bytes = limit_bytes
        self._last: deque[str] = deque(maxlen=_LAST_LINES)
        self._thread: threading.Thread | None = None

    def begin(self) -> int:
        """Begin to read a run, and return the writing end of the pipe. The caller closes it."""
        make_private_directory(self.path.parent)
        reading, writing = os.pipe()
        self._last = deque(maxlen=_LAST_LINES)
        arguments = (os.fdopen(reading, "rb"), self._last)
        self._thread = threading.Thread(target=self._run, args=arguments, name=f"log-{self.path.stem}", daemon=True)
        self._thread.start()
        return writing

    def last_lines(self) -> str:
        """Return the last lines of the run, for a message."""
        if self._thread is not None:
            self._thread.join(_REST_SECONDS)
        return "\n".join([f"Last lines of {self.path}:", *(f"  {line}" for line in tuple(self._last))])

    def _run(self, output: IO[bytes], last: deque[str]) -> None:
        """Read until every process has closed the pipe."""
        file: IO[bytes] | None = None
        with output:
            while line := output.readline(_LINE_BYTES):
                last.append(line.decode(errors="replace").rstrip())
                file = self._append(file, line)
        if file is not None:
            file.close()

    def _append(self, file: IO[bytes] | None, line: bytes) -> IO[bytes] | None:
        """Append a line and return the file to use next: None after an error, so that the next line reopens it."""
        try:
            if file is None:
                file = open_private(self.path, "ab", buffering=0)
            file.write(line)
            if file.tell() > self._limit_bytes:
                self.path.replace(self.path.with_name(f"{self.path.name}.1"))
                file.close()
                return None
        except OSError:
            if file is not None:
                with suppress(OSError):
                    file.close()
            return None
        return file
