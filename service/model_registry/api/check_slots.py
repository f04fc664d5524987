"""Checks that callers ask for: a few at once, each in a process of its own, ended when its caller leaves.

They stand behind everything else: the registry's own validation has another process, other threads, and goes first.
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from starlette.requests import Request

from model_registry.api.caller import ANYBODY, Caller
from model_registry.api.long_work import caller_gone
from model_registry.errors import TooManyRequests
from model_registry.gateways.kind import Checker, Files
from model_registry.gateways.tensorzero.validation.validate import ValidationResult
from model_registry.gateways.tensorzero.validation.validator_process import ValidatorProcess

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

AT_ONCE = 2
PER_CALLER = 2
"""Running or waiting."""
IN_ALL = 8
"""Running or waiting, of all callers."""
SECONDS = 60.0
"""From the request to the answer, waiting included."""
_NICENESS = 10
_ENDS_WITHIN = 5.0
_RETRY_AFTER = 5


@dataclass(frozen=True, slots=True)
class CheckJob:
    """A TensorZero project that is to be checked."""

    files: Files
    configuration: list[str] | None
    gateway: bool
    ours: bool

    def start(self) -> ProjectCheck:
        """Make what checks it, in a process of its own."""
        return ProjectCheck(self, ValidatorProcess(niceness=_NICENESS))


@dataclass(frozen=True, slots=True, eq=False)
class ProjectCheck:
    """Checks one project of a TensorZero gateway."""

    job: CheckJob
    process: ValidatorProcess

    def run(self) -> ValidationResult:
        """Check it. Blocks."""
        job = self.job
        with self.process as process:
            return process.check(job.files, gateway=job.gateway, configuration=job.configuration, ours=job.ours)

    def abort(self) -> None:
        """End the check: at once."""
        self.process.abort()


class CheckerJob(Generic[T]):
    """Work with a checker of its own, of any gateway kind."""

    def __init__(self, checker: Checker, work: Callable[[Checker], Coroutine[Any, Any, T]]) -> None:
        self._checker, self._work = checker, work

    def start(self) -> CheckerJob[T]:
        """The checker starts a process when it needs one."""
        return self

    def run(self) -> T:
        """Do it. Blocks."""
        try:
            return asyncio.run(self._work(self._checker))
        finally:
            self._checker.close()

    def abort(self) -> None:
        """End it: at once."""
        threading.Thread(target=self._checker.close, name="end of a check", daemon=True).start()


class Running(Protocol[T_co]):
    """A check with a process of its own."""

    def run(self) -> T_co:
        """Do it. Blocks."""

    def abort(self) -> None:
        """End it at once, from any thread."""


class Job(Protocol[T_co]):
    """A check that is to be done."""

    def start(self) -> Running[T_co]:
        """Make what does it."""


class CheckSlots:
    """Who may check now. For one event loop."""

    def __init__(self) -> None:
        self._places = asyncio.Semaphore(AT_ONCE)
        self._callers: Counter[str] = Counter()
        self._running: set[Running[object]] = set()
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="callers-check")
        self._closed = False

    async def check(self, request: Request, caller: str, job: Job[T]) -> T | None:
        """Check a configuration. Ends in 60 s whatever it is; None when the caller has left.

        Raises:
            TooManyRequests: too many are checked now, by this caller or by all.
            NotConfined: the check cannot be shut in on this machine.
        """
        with self._place(caller):
            process = job.start()
            checking = asyncio.create_task(self._check(process))
            leaving = asyncio.create_task(caller_gone(request))
            try:
                await asyncio.wait({checking, leaving}, timeout=SECONDS, return_when=asyncio.FIRST_COMPLETED)
                if checking.done() or leaving.done():
                    return checking.result() if checking.done() else None
                process.abort()
                await asyncio.wait({checking}, timeout=_ENDS_WITHIN)
                if checking.done():
                    return checking.result()
                message = "Other checks used up the waiting time. Try again later."
                raise TooManyRequests(message, retry_after=_RETRY_AFTER)
            finally:
                process.abort()
                leaving.cancel()
                checking.cancel()

    def close(self) -> None:
        """End every check: the service is about to stop."""
        self._closed = True
        for process in tuple(self._running):
            process.abort()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _check(self, process: Running[T]) -> T:
        async with self._places:
            if self._closed:
                raise TooManyRequests("The service is shutting down.", retry_after=_RETRY_AFTER)
            self._running.add(process)
            running = asyncio.get_running_loop().run_in_executor(self._threads, process.run)
            running.add_done_callback(lambda done: self._ended(process, done))
            # When the caller leaves, the thread ends by itself a moment later: its process is gone.
            return await asyncio.shield(running)

    def _ended(self, process: Running[object], done: asyncio.Future[T]) -> None:
        self._running.discard(process)
        if not done.cancelled():
            done.exception()  # looked at, also when nobody waits for it any more

    @contextmanager
    def _place(self, caller: str) -> Iterator[None]:
        if self._callers[caller] >= PER_CALLER:
            message = f"{PER_CALLER} of your checks are running already; wait until one of them ends."
            raise TooManyRequests(message, retry_after=_RETRY_AFTER)
        if self._callers.total() >= IN_ALL:
            raise TooManyRequests(f"{IN_ALL} checks are running; try again later.", retry_after=_RETRY_AFTER)
        self._callers[caller] += 1
        try:
            yield
        finally:
            self._callers[caller] -= 1
            if not self._callers[caller]:
                del self._callers[caller]


def name_of(caller: Caller, request: Request) -> str:
    """The caller that limits are counted for: a key, or an address where there are no keys."""
    if caller is not ANYBODY:
        return f"key {caller.name}"
    return f"address {request.client.host}" if request.client else "somebody"
