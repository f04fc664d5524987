"""What happens again and again, for those who observe it and those who wait for a condition."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, ParamSpec

P = ParamSpec("P")


class Signal(Generic[P]):
    """Calls every observer, in the order of `observe`, and wakes every waiter: each re-checks its own condition.

    Thousands of waiters are fine: one callback and one timer each. All on one event loop; observers must not block.
    """

    def __init__(self) -> None:
        self._observers: list[Callable[P, None]] = []
        self._next: asyncio.Future[None] | None = None
        self._released = False

    def observe(self, observer: Callable[P, None]) -> None:
        """Call `observer` at every `send` from now on."""
        self._observers.append(observer)

    def forget(self, observer: Callable[P, None]) -> None:
        """Call it no more. Nothing happens if it was not called."""
        self._observers = [other for other in self._observers if other != observer]

    def send(self, *args: P.args, **kwargs: P.kwargs) -> None:
        """Call the observers, then wake the waiters."""
        for observer in self._observers:
            observer(*args, **kwargs)
        self._wake()

    async def until(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Wait until the condition holds, for at most `seconds`; answers whether it does."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while not (met := condition()) and not self._released:
            left = deadline - loop.time()
            if left <= 0:
                break
            if self._next is None:
                self._next = loop.create_future()
            await asyncio.wait((self._next,), timeout=left)
        return met

    def release(self) -> None:
        """Let every waiter go, now and from now on: the service is about to stop."""
        self._released = True
        self._wake()

    def _wake(self) -> None:
        sent, self._next = self._next, None
        if sent is not None:
            sent.set_result(None)
