"""The places of a target: how many requests it has at once, and how long one takes."""

from __future__ import annotations

from typing import Final

_NEWEST_SHARE: Final = 0.2
_SHORTEST_WAIT_SECONDS: Final = 1.0
_LONGEST_WAIT_SECONDS: Final = 60.0


class Places:
    """The requests in flight at one target, from this replica, over all capabilities."""

    __slots__ = ("_seconds", "in_flight")

    def __init__(self) -> None:
        self.in_flight = 0
        self._seconds = _SHORTEST_WAIT_SECONDS

    def take(self) -> None:
        """Take a place. The caller has compared `in_flight` with the target's `max_concurrent`."""
        self.in_flight += 1

    def give_back(self, seconds: float) -> None:
        """Give a place back that was taken for `seconds`."""
        self.in_flight -= 1
        self._seconds += _NEWEST_SHARE * (seconds - self._seconds)

    def expected_wait(self) -> float:
        """Seconds until a place gets free, if requests take as long as before; 1 to 60."""
        wait = self._seconds / max(1, self.in_flight)
        return min(_LONGEST_WAIT_SECONDS, max(_SHORTEST_WAIT_SECONDS, wait))
