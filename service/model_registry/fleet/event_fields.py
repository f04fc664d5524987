"""Reads single values of an event's JSON: under one of several names, checked, shown short in reasons.

When an event happened is one rule for NATS and HTTP. Pure: the time of receipt is an argument.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from pydantic import TypeAdapter, ValidationError

from model_registry.entities.deployment import DeploymentEvent, EventDraft
from model_registry.entities.field_errors import reasons_of
from model_registry.entities.secret_text import mask_secrets
from model_registry.errors import InvalidEvent

CLOCK_TOLERANCE = timedelta(minutes=1)
"""Events dated further ahead count as of their receipt: a wrong clock would beat the sender's later events."""

_MILLISECONDS = 20_000_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIME: TypeAdapter[datetime] = TypeAdapter(datetime)

_KEPT = ("model_name", "session_id")
"""Further fields of an event that are kept, as metadata."""
_KEPT_LENGTH = 300
_VRAM = ("vram_allocated_mb", "vram_mb", "vram_used_mb")
_WIRE_NAMES = {"announced_model": "model_id"}
_SHOWN_LENGTH = 80


def read_object(payload: bytes) -> dict[str, Any]:
    """Parse a payload. Errors: InvalidEvent, for what is not a JSON object."""
    try:
        content = orjson.loads(payload)
    except ValueError as error:
        raise InvalidEvent(f"The payload is not JSON: {error}.") from error
    if not isinstance(content, dict):
        raise InvalidEvent(f"The payload is {repr_short(content)}, not a JSON object.")
    return content


def first(content: dict[str, Any], names: Iterable[str]) -> Any:  # noqa: ANN401 (any JSON)
    """Return the first value under these names that is not null."""
    for name in names:
        value = content.get(name)
        if value is not None:
            return value
    return None


def parse_time(content: dict[str, Any], names: Iterable[str]) -> datetime | None:
    """Parse the first time under these names. Errors: InvalidEvent."""
    for name in names:
        given = content.get(name)
        if given is not None:
            try:
                return read_time(given)
            except ValueError as error:
                raise InvalidEvent(f"{name}: {repr_short(given)} {error}.") from error
    return None


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


def node_of(given: object, default_node: str) -> Any:  # noqa: ANN401 (any JSON)
    """Return the node's id; the default node's where it is missing or empty."""
    return default_node if given is None or given == "" else given


def split_key(key: object, what: str) -> tuple[str, str]:
    """Split `<provider>/<model_id>`; the model's id may contain slashes. Errors: InvalidEvent."""
    provider, _, model = key.partition("/") if isinstance(key, str) else ("", "", "")
    if not provider or not model:
        raise InvalidEvent(f"{what} is {repr_short(key)}, not <provider>/<model_id>.")
    return provider, model


def event_of(content: dict[str, Any], event: DeploymentEvent) -> DeploymentEvent:
    """Complete the event with the fields that all forms share, and check it. Errors: InvalidEvent."""
    event.vram_allocated_mb = mib(first(content, _VRAM), "vram_allocated_mb")
    event.endpoint = content.get("endpoint")
    event.error_message = content.get("error_message")
    for name in _KEPT:
        value = content.get(name)
        if type(value) is str and len(value) <= _KEPT_LENGTH and value.isprintable():
            event.metadata[name] = value
    if not event.is_plain:
        _check(event)
    return event


def mib(given: object, where: str) -> Any:  # noqa: ANN401 (any JSON)
    """Return MiB, rounded. Refuses booleans, which pydantic would take for numbers."""
    if isinstance(given, bool):
        raise InvalidEvent(f"{where}: {repr_short(given)} is not a number of MiB.")
    return round(given) if isinstance(given, float) else given


def repr_short(value: object) -> str:
    """Show a value in a message: short, and without recursion into nested values."""
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    return shortened(repr(value))


def shortened(text: str) -> str:
    """Return the beginning of a text, with secrets masked first: a truncated secret escapes every detector."""
    text = mask_secrets(text)
    return text if len(text) <= _SHOWN_LENGTH else f"{text[:_SHOWN_LENGTH]}…"


def _check(event: DeploymentEvent) -> None:
    """Validate with pydantic, which gives the reasons and accepts "6144" as a number. Errors: InvalidEvent."""
    try:
        draft = EventDraft.model_validate({name: getattr(event, name) for name in EventDraft.model_fields})
    except ValidationError as error:
        reasons = reasons_of(error, lambda field: ".".join(_WIRE_NAMES.get(str(part), str(part)) for part in field))
        raise InvalidEvent("; ".join(map(str, reasons)), reasons=reasons) from error
    event.vram_allocated_mb = draft.vram_allocated_mb
