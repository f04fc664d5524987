"""Keeps the service's workers running: starts them, restarts one that failed, stops them in reverse order.

A worker is an async function that works until it is cancelled, and knows nothing of tasks. What it expects to go wrong
(no database, no NATS) it handles itself; what comes out of it is a bug, which must not end it for good.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from model_registry.messaging.connection import cancel

log = structlog.get_logger(__name__)

PAUSE_SECONDS = 1.0
"""Between a failure of a worker and its restart."""
STOP_SECONDS = 8.0
"""For one worker to stop. The longest that any of them means to take is 5."""

Step = Callable[[], Awaitable[None]]


async def _nothing() -> None:
    """Take no further step."""


@dataclass(frozen=True, slots=True)
class Worker:
    """What runs without a request."""

    name: str
    run: Step
    """Works until it is cancelled. It is called anew after it failed."""
    before_stop: Step = _nothing
    """Finishes what is in hand, while the worker still runs."""
    after_stop: Step = _nothing
    """Gives back what the worker held. It is not cancelled."""
    pause_seconds: float = PAUSE_SECONDS


class Supervisor:
    """The workers of one service."""

    def __init__(
        self, on_failure: Callable[[str], None] = lambda _name: None, *, stop_seconds: float = STOP_SECONDS
    ) -> None:
        """`on_failure` counts failures, by the worker's name."""
        self._on_failure = on_failure
        self._stop_seconds = stop_seconds
        self._running: list[tuple[Worker, asyncio.Task[None]]] = []

    def start(self, worker: Worker) -> None:
        """Run a worker until `stop`."""
        task = asyncio.create_task(self._keep_running(worker), name=worker.name)
        self._running.append((worker, task))

    async def stop(self) -> None:
        """Stop every worker, the last one started first. One that takes too long is logged and left behind."""
        while self._running:
            worker, task = self._running.pop()
            stopping = asyncio.create_task(_stop(worker, task), name=f"stop {worker.name}")
            await asyncio.wait([stopping], timeout=self._stop_seconds)
            if not stopping.done():
                log.error("a worker did not stop in time; going on without it", worker=worker.name)
            elif (error := stopping.exception()) is not None:
                log.error("a worker failed while it stopped", worker=worker.name, exc_info=error)

    async def _keep_running(self, worker: Worker) -> None:
        while True:
            try:
                await worker.run()
            except Exception:  # the outermost loop of every worker: none ends by a bug in it
                log.exception("a worker failed; restarting it", worker=worker.name, seconds=worker.pause_seconds)
                self._on_failure(worker.name)
            else:
                return
            await asyncio.sleep(worker.pause_seconds)


async def _stop(worker: Worker, task: asyncio.Task[None]) -> None:
    try:
        await worker.before_stop()
    finally:
        await cancel(task)
        await worker.after_stop()
