"""Batches heartbeats: a thousand recorded together cost as much as a few alone. Recording is in `event_recorder.py`."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from model_registry.fleet.event_sources import Delivery

_MOST = 2000


class HeartbeatBatcher:
    """Holds back the heartbeats of one source. All other messages pass at once."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Hold each for at most `seconds`."""
        self._seconds = seconds
        self._clock = clock
        self._due = 0.0
        self.read: list[Delivery] = []

    def patience(self) -> float | None:
        """Return the seconds until the heartbeats are due; None when there are none."""
        return max(0.0, self._due - self._clock()) if self.read else None

    def pass_on(self, read: Sequence[Delivery]) -> list[Delivery]:
        """Add these messages, and return those to record now."""
        if not self.read:
            self._due = self._clock() + self._seconds
        self.read += [one for one in read if one.content.is_heartbeat]
        now = [one for one in read if not one.content.is_heartbeat]
        if self.read and (self._clock() >= self._due or len(self.read) >= _MOST):
            now += self.read
            self.read = []
        return now
