"""When an event happened: one rule for what comes over NATS and over HTTP. Pure: the time of receipt comes in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from pydantic import TypeAdapter, ValidationError

CLOCK_TOLERANCE = timedelta(minutes=1)
"""A sender whose clock is further ahead would win over its own later events: they count as of their receipt."""

_MILLISECONDS = 20_000_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIME: TypeAdapter[datetime] = TypeAdapter(datetime)


def read_time(value: object) -> datetime:
    """A point in time: epoch seconds (milliseconds from 20,000,000,000 on) or ISO 8601, which is UTC without a zone.

    Errors: ValueError, also for times before 1970, which nobody's event can have.
    """
    if isinstance(value, int | float) and 0 <= value < _MILLISECONDS and not isinstance(value, bool):
        return datetime.fromtimestamp(value, UTC)  # the usual form, at a tenth of the price
    try:
        when = None if isinstance(value, bool) else _TIME.validate_python(value)
    except ValidationError:
        when = None
    if when is not None:
        when = when.replace(tzinfo=UTC) if when.tzinfo is None else when
    if when is None or when < _EPOCH:
        message = "is not a time: epoch seconds or ISO 8601"
        raise ValueError(message)
    return when


def clamp_event_time(when: datetime | None, received_at: datetime) -> datetime:
    """The time that an event counts with: its own, unless it has none or one that lies too far ahead."""
    return received_at if when is None or when > received_at + CLOCK_TOLERANCE else when
