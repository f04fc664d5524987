"""Decides when an event happened: one rule for NATS and HTTP. Pure: the time of receipt is an argument."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from pydantic import TypeAdapter, ValidationError

CLOCK_TOLERANCE = timedelta(minutes=1)
"""Events dated further ahead count as of their receipt: a wrong clock would beat the sender's later events."""

_MILLISECONDS = 20_000_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIME: TypeAdapter[datetime] = TypeAdapter(datetime)


def read_time(value: object) -> datetime:
    """Parse a time: epoch seconds (milliseconds from 20,000,000,000 on) or ISO 8601 (UTC when it has no zone).

    Errors: ValueError, also for times before 1970, which no event can have.
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
    """Return the event's own time; the time of receipt when it has none or one too far ahead."""
    return received_at if when is None or when > received_at + CLOCK_TOLERANCE else when
