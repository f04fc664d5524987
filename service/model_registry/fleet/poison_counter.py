"""How often the database refused an event and nobody knows why: whether that is the event's fault after all."""

from __future__ import annotations

from datetime import datetime

from model_registry.fleet.event_sources import Delivery

_MOST = 10_000
_Key = tuple[datetime, str, int]


class PoisonCounter:
    """Counts those between which other events were taken. How often it was delivered would count outages as well."""

    def __init__(self) -> None:
        self._taken = 0
        self._refused: dict[_Key, tuple[int, int]] = {}

    def note_taken(self) -> None:
        """The database has taken events; heartbeats and rejections do not say that it can."""
        self._taken += 1

    def count(self, delivery: Delivery) -> int:
        """How often it was refused by now. One refusal counts before others are taken, however often it is repeated."""
        message = delivery.message
        key = (delivery.received_at, message.subject, hash(message.data))
        times, taken = self._refused.get(key, (0, -1))
        if taken < self._taken:
            times += 1
        if len(self._refused) >= _MOST:
            self._refused.clear()  # then all begin anew, and none is lost
        self._refused[key] = times, self._taken
        return times
