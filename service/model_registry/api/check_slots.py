"""Checks that callers ask for: a few at once, each in a process of its own, ended when its caller leaves.

They stand behind everything else: the registry's own validation has another process, other threads, and goes first.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from starlette.requests import Request

from model_registry.api.long_work import caller_gone
from model_registry.errors import TooManyRequests
from model_registry.gateways.kind import Files
from model_registry.gateways.tensorzero.validation.validate import ValidationResult
from model_registry.gateways.tensorzero.validation.validator_process import ValidatorProcess

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
    """What is to be checked."""

    files: Files
    configuration: list[str] | None
    gateway: bool
    ours: bool


class CheckSlots:
    """Who may check now. For one event loop."""

    def __init__(self) -> None:
        self._places = asyncio.Semaphore(AT_ONCE)
        self._callers: Counter[str] = Counter()
        self._running: set[ValidatorProcess] = set()
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="callers-check")
        self._closed = False

    async def check(self, request: Request, caller: str, job: CheckJob) -> ValidationResult | None:
        """Check a project. Ends in 60 s whatever it is; None when the caller has left.

        Raises:
            TooManyRequests: too many are checked now, by this caller or by all.
            NotConfined: the check cannot be shut in on this machine.
        """
        with self._place(caller):
            process = ValidatorProcess(niceness=_NICENESS)
            checking = asyncio.create_task(self._check(process, job))
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

    async def _check(self, process: ValidatorProcess, job: CheckJob) -> ValidationResult:
        async with self._places:
            if self._closed:
                raise TooManyRequests("The service is shutting down.", retry_after=_RETRY_AFTER)
            self._running.add(process)
            running = asyncio.get_running_loop().run_in_executor(self._threads, _run, process, job)
            running.add_done_callback(lambda done: self._ended(process, done))
            # When the caller leaves, the thread ends by itself a moment later: its process is gone.
            return await asyncio.shield(running)

    def _ended(self, process: ValidatorProcess, done: asyncio.Future[ValidationResult]) -> None:
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


def _run(process: ValidatorProcess, job: CheckJob) -> ValidationResult:
    with process:
        return process.check(job.files, gateway=job.gateway, configuration=job.configuration, ours=job.ours)
