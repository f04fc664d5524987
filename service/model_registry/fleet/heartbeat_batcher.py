"""Heartbeats that wait for others: a thousand recorded together cost what a few alone do."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from model_registry.fleet.event_sources import Delivery

_MOST = 2000


class HeartbeatBatcher:
    """Those of one source. All else goes on at once."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Hold each for so many seconds at most."""
        self._seconds = seconds
        self._clock = clock
        self._due = 0.0
        self.read: list[Delivery] = []

    def patience(self) -> float | None:
        """For how many seconds there is nothing to do about them; None: for ever."""
        return max(0.0, self._due - self._clock()) if self.read else None

    def pass_on(self, read: Sequence[Delivery]) -> list[Delivery]:
        """What is to be recorded now that these have come."""
        if not self.read:
            self._due = self._clock() + self._seconds
        self.read += [one for one in read if one.content.is_heartbeat]
        now = [one for one in read if not one.content.is_heartbeat]
        if self.read and (self._clock() >= self._due or len(self.read) >= _MOST):
            now += self.read
            self.read = []
        return now
