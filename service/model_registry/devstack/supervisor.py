"""Supervises the servers of a running stack: reports one that dies, and restarts it at the same address.

One thread per server waits for its end; nothing is polled. Starting a server is in its own file.
"""

from __future__ import annotations

import signal
import time
from contextlib import suppress
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING

from model_registry.errors import StackError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from model_registry.devstack.process import StackProcess

PAUSES = (0.2, 1.0, 3.0, 9.0)
"""Seconds before the first, second, ... restart. One more death in a row stops the stack."""
STEADY_SECONDS = 60.0
"""A server that has run this long counts as healthy: its next death is a first one again."""
_STOP_AGAIN_SECONDS = 0.1


class Supervisor:
    """Keeps servers running until `stop`."""

    def __init__(
        self,
        parts: Sequence[StackProcess],
        *,
        progress: Callable[[str], object],
        give_up: Callable[[StackError], object],
    ) -> None:
        """Configure the supervisor; it watches nothing before `start`.

        Args:
            parts: the servers, in the order to stop them in.
            progress: called with a message for people, one call at a time, in a thread of the supervisor.
            give_up: called once, in a thread of the supervisor, when a server cannot be kept running.
        """
        self._parts = parts
        self._progress = progress
        self._give_up = give_up
        self._threads: list[Thread] = []
        self._stopping = Event()
        self._lock = Lock()
        self._given_up = False

    def start(self) -> None:
        """Watch the servers, which run already; one that has died meanwhile is noticed at once."""
        for part in self._parts:
            thread = Thread(target=self._keep_running, args=(part,), name=f"watch-{part.name}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """Stop the servers and the threads. A pause ends at once, and so does a server that is just starting."""
        self._stopping.set()
        for part in self._parts:
            part.stop()
        for part, thread in zip(self._parts, self._threads, strict=False):
            while thread.is_alive():
                # The thread may have been about to launch the program.
                part.stop()
                thread.join(_STOP_AGAIN_SECONDS)
        self._threads = []

    def _keep_running(self, part: StackProcess) -> None:
        """Wait for the server's end and restart it, until it dies too often in a row or `stop` is called."""
        deaths = 0
        while not self._stopping.is_set():
            began = time.monotonic()
            code = part.wait()
            deaths = 1 if time.monotonic() - began >= STEADY_SECONDS else deaths + 1
            end: tuple[str, str] | None = (_ended(code), part.last_lines())
            while end is not None and not self._stopping.is_set():
                what, details = end
                if deaths > len(PAUSES):
                    self._end(part, deaths, f"{what}. {details}")
                    return
                pause = PAUSES[deaths - 1]
                self._report(f"{part.name:<9}  {what}; restarting in {pause:g} s. {details}")
                self._stopping.wait(pause)
                end = self._start(part)
                deaths += end is not None

    def _start(self, part: StackProcess) -> tuple[str, str] | None:
        """Start a server and report it; on failure return the event and its cause."""
        if self._stopping.is_set():
            return None
        part.reap_orphans()
        began = time.monotonic()
        try:
            part.start()
        except Exception as error:  # noqa: BLE001 (outermost loop: every failure is reported and counted)
            return "failed to start", str(error) or repr(error)
        self._report(f"{part.name:<9}  restarted  ({time.monotonic() - began:.1f} s)")
        return None

    def _end(self, part: StackProcess, deaths: int, cause: str) -> None:
        """Give up, unless another server was already given up."""
        with self._lock:
            if self._given_up or self._stopping.is_set():
                return
            self._given_up = True
        message = f"{part.name} failed {deaths} times in a row; stopping everything"
        self._give_up(StackError(f"{message}. The last time, it {cause}"))

    def _report(self, line: str) -> None:
        """Report a line, one thread at a time. A failure to report must not keep a server from restarting."""
        with self._lock, suppress(OSError):
            if not self._stopping.is_set():
                self._progress(line)


def _ended(code: int) -> str:
    """Describe how a program ended, for people."""
    if code >= 0:
        return f"exited (exit code {code})"
    with suppress(ValueError):
        return f"was killed ({signal.Signals(-code).name})"
    return f"was killed (signal {-code})"
