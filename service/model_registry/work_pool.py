"""Threads for work that lasts, apart from those of the event loop: few, with a bounded queue and a deadline.

`asyncio.to_thread` is for the registry's own work: loading snapshots, rendering, validating. What callers ask for comes
here, so that it never takes the threads which that needs, ends with its caller, and never keeps the process alive.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ParamSpec, TypeVar

from model_registry.errors import DeadlineExceeded, TooManyRequests

P = ParamSpec("P")
T = TypeVar("T")


_AGAIN_SECONDS = 0.5
"""Before the stop is repeated. Long enough for the work to clean up, which must not be interrupted."""


class WorkStopped(BaseException):
    """Raised inside work whose caller has left or whose deadline has passed. No `except Exception` takes it."""


@dataclass(slots=True, eq=False)
class _Job:
    work: Callable[[], Any]
    loop: asyncio.AbstractEventLoop
    done: asyncio.Future[Any]
    thread: int | None = None
    """The thread that does it; None before and after."""
    stopped: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self) -> None:
        """Do it, and tell the loop; unless it has been stopped, then nobody wants to know."""
        with self.lock:
            if self.stopped:
                return
            self.thread = threading.get_ident()
        result: Any = None
        error: BaseException | None = None
        try:
            result = self.work()
        except BaseException as raised:  # noqa: BLE001 (it is the caller's: the thread goes on)
            error = raised
        with self.lock:
            # What was raised and has not arrived yet is taken back: it is not meant for the next job.
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self.thread), None)
            self.thread = None
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self.loop.call_soon_threadsafe(self._settle, result, error)

    def stop(self) -> None:
        """Raise `WorkStopped` in the thread, at its next line of Python; a job in the queue is not begun.

        Again as long as it goes on: what is raised in a destructor or a callback of a weak reference, Python drops.
        """
        with self.lock:
            self.stopped = True
            if self.thread is None:
                return
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self.thread), ctypes.py_object(WorkStopped))
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self.loop.call_soon_threadsafe(self.loop.call_later, _AGAIN_SECONDS, self.stop)

    def _settle(self, result: object, error: BaseException | None) -> None:
        if self.done.done():
            return
        if error is not None:
            self.done.set_exception(error)
        else:
            self.done.set_result(result)


class WorkPool:
    """A bounded number of running and waiting jobs; each ends by its deadline, or when its caller is cancelled."""

    def __init__(self, name: str, *, threads: int, queue: int, seconds: float) -> None:
        self._name = name
        self._threads = threads
        self._most = threads + queue
        self._seconds = seconds
        self._queue: deque[_Job] = deque()
        self._work = threading.Semaphore(0)
        self._started = 0
        self._jobs: set[_Job] = set()
        self._closed = False

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do this in one of the threads.

        Errors: TooManyRequests when the queue is full, and those of `go_on`.
        """
        if len(self._jobs) >= self._most or self._closed:
            raise TooManyRequests(
                f"The service works on {len(self._jobs)} requests of this kind already ({self._name}), which is all "
                "that it takes. Try again in some seconds."
            )
        return await self.go_on(function, *args, **kwargs)

    async def go_on(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """As `run`, for the next step of work that has begun: the queue is no reason to refuse it any more.

        Errors: DeadlineExceeded, and what the function raises.
        """
        loop = asyncio.get_running_loop()
        job = _Job(partial(function, *args, **kwargs), loop, loop.create_future())
        self._jobs.add(job)
        job.done.add_done_callback(lambda _: self._jobs.discard(job))
        self._start_thread()
        self._queue.append(job)
        self._work.release()
        try:
            async with asyncio.timeout(self._seconds):
                result: T = await job.done
        except TimeoutError as error:
            if not job.done.cancelled():
                raise  # the work's own
            message = (
                f"The work took longer than {self._seconds:g} s, and was stopped; nothing was written. "
                "Send less at a time, or ask when the service has less to do."
            )
            raise DeadlineExceeded(message) from error
        finally:
            if not job.done.done() or job.done.cancelled():
                job.stop()
        return result

    def close(self) -> None:
        """Stop all work, now and from now on: the service is about to stop."""
        self._closed = True
        for job in list(self._jobs):
            job.stop()
            if not job.done.done():
                job.done.set_exception(TooManyRequests("The service is stopping. Ask again in some seconds."))

    @property
    def busy(self) -> int:
        """Jobs that run or wait."""
        return len(self._jobs)

    def _start_thread(self) -> None:
        if self._started < min(self._threads, len(self._jobs)):
            self._started += 1
            name = f"{self._name}-{self._started}"
            # Daemons: those of concurrent.futures are waited for at the interpreter's end, however long that is.
            threading.Thread(target=self._serve, name=name, daemon=True).start()

    def _serve(self) -> None:
        while True:
            # It may arrive late, behind the work: the caller that stopped the job no longer waits for it.
            with contextlib.suppress(WorkStopped):
                self._work.acquire()
                self._queue.popleft().run()
