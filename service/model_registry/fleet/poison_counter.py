"""Counts unexplained refusals of an event by the database, to decide whether the event is at fault."""

from __future__ import annotations

from datetime import datetime

from model_registry.fleet.event_sources import Delivery

_MOST = 10_000
_Key = tuple[datetime, str, int]


class PoisonCounter:
    """Counts refusals between which other events were recorded. Counting deliveries would count outages as well."""

    def __init__(self) -> None:
        self._taken = 0
        self._refused: dict[_Key, tuple[int, int]] = {}

    def note_taken(self) -> None:
        """Note that events were recorded; heartbeats and rejections do not prove that the database accepts events."""
        self._taken += 1

    def count(self, delivery: Delivery) -> int:
        """Count a refusal, and return the number so far. Refusals with no event recorded between them count once."""
        message = delivery.message
        key = (delivery.received_at, message.subject, hash(message.data))
        times, taken = self._refused.get(key, (0, -1))
        if taken < self._taken:
            times += 1
        if len(self._refused) >= _MOST:
            self._refused.clear()  # counts begin anew; no event is lost
        self._refused[key] = times, self._taken
        return times
