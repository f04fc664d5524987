"""Requests that wait for a place: one queue per name, bounded in length and time, first come first served.

A place that gets free is handed over at once, so that nobody who comes later overtakes.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Collection

from model_registry.errors import QueueFull
from model_registry.services.dispatch.lease import Lease
from model_registry.services.dispatch.plan import Plan
from model_registry.services.dispatch.targets import Unavailable

Pick = Callable[[Plan, Collection[str]], Lease | Unavailable]


class _Waiting:
    __slots__ = ("found", "plan", "tried")

    def __init__(self, plan: Plan, tried: Collection[str], found: asyncio.Future[Lease | Unavailable]) -> None:
        self.plan = plan
        self.tried = tried
        self.found = found


class WaitingRequests:
    """The queues of one replica."""

    def __init__(self, pick: Pick, give_back: Callable[[Lease], None]) -> None:
        """`give_back`: end a lease that nobody uses."""
        self._pick = pick
        self._give_back = give_back
        self._queues: dict[str, deque[_Waiting]] = {}

    def lengths(self) -> dict[str, int]:
        """How many requests wait, by name."""
        return {name: len(queue) for name, queue in self._queues.items()}

    async def wait(self, plan: Plan, tried: Collection[str], full: Unavailable) -> Lease | Unavailable:
        """Wait for a place, `plan.queue_seconds` at most. Errors: QueueFull."""
        queue = self._queues.get(plan.name)
        if len(queue or ()) >= plan.queue:
            raise _full(plan, full, "and the queue is full" if plan.queue else "and none may wait")
        loop = asyncio.get_running_loop()
        waiting = _Waiting(plan, tried, loop.create_future())
        if queue is None:
            queue = self._queues[plan.name] = deque()
        queue.append(waiting)
        timer = loop.call_later(plan.queue_seconds, _expire, waiting, full)
        try:
            return await waiting.found
        except asyncio.CancelledError:
            if waiting.found.done() and not waiting.found.cancelled() and not waiting.found.exception():
                self._hand_back(waiting.found.result())
            raise
        finally:
            timer.cancel()
            self._leave(queue, waiting)

    def look(self) -> None:
        """A place has become free, or a target is back: hand it over."""
        for queue in list(self._queues.values()):
            while queue:
                waiting = queue[0]
                if not waiting.found.done():
                    found = self._pick(waiting.plan, waiting.tried)
                    if isinstance(found, Unavailable) and found.wait:
                        break
                    waiting.found.set_result(found)
                queue.popleft()

    def _hand_back(self, found: Lease | Unavailable) -> None:
        if isinstance(found, Lease):
            self._give_back(found)

    def _leave(self, queue: deque[_Waiting], waiting: _Waiting) -> None:
        if waiting in queue:
            queue.remove(waiting)
        if not queue and self._queues.get(waiting.plan.name) is queue:
            del self._queues[waiting.plan.name]


def _expire(waiting: _Waiting, full: Unavailable) -> None:
    if not waiting.found.done():
        waiting.found.set_exception(_full(waiting.plan, full, f"no place within {waiting.plan.queue_seconds:g} s"))


def _full(plan: Plan, full: Unavailable, why: str) -> QueueFull:
    return QueueFull(f"{plan.name}: {full.message}; {why}.", retry_after=max(1, round(full.retry_after)))
