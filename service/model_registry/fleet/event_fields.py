"""Values in somebody's JSON: found under one of several names, checked, and shown in reasons. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from model_registry.entities.deployment import DeploymentEvent, EventDraft
from model_registry.entities.invalid_fields import reasons_of
from model_registry.entities.secret_text import mask_secrets
from model_registry.errors import InvalidEvent
from model_registry.fleet.event_time import read_time

_KEPT = ("model_name", "session_id")
"""What else of an event is worth keeping, as metadata."""
_KEPT_LENGTH = 300
_VRAM = ("vram_allocated_mb", "vram_mb", "vram_used_mb")
_WIRE_NAMES = {"announced_model": "model_id"}
_SHOWN_LENGTH = 80


def first(content: dict[str, Any], names: Iterable[str]) -> Any:  # noqa: ANN401 (somebody's JSON)
    """The first of these that says something; null says nothing."""
    for name in names:
        value = content.get(name)
        if value is not None:
            return value
    return None


def parse_time(content: dict[str, Any], names: Iterable[str]) -> datetime | None:
    """The first time given under these names. Errors: InvalidEvent."""
    for name in names:
        given = content.get(name)
        if given is not None:
            try:
                return read_time(given)
            except ValueError as error:
                raise InvalidEvent(f"{name}: {repr_short(given)} {error}.") from error
    return None


def node_of(given: Any, default_node: str) -> Any:  # noqa: ANN401 (somebody's JSON)
    """The node; one that names itself with nothing is the default node."""
    return default_node if given is None or given == "" else given


def split_key(key: Any, what: str) -> tuple[str, str]:  # noqa: ANN401 (somebody's JSON)
    """`<provider>/<model_id>`; the model's id may hold further slashes. Errors: InvalidEvent."""
    provider, _, model = key.partition("/") if isinstance(key, str) else ("", "", "")
    if not provider or not model:
        raise InvalidEvent(f"{what} is {repr_short(key)}, not <provider>/<model_id>.")
    return provider, model


def event_of(content: dict[str, Any], event: DeploymentEvent) -> DeploymentEvent:
    """The event, completed by what is said the same way in every form, and checked. Errors: InvalidEvent."""
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


def mib(given: Any, where: str) -> Any:  # noqa: ANN401 (somebody's JSON)
    """MiB; a fraction is rounded. What pydantic would take for a number and is none is refused here."""
    if isinstance(given, bool):
        raise InvalidEvent(f"{where}: {repr_short(given)} is not a number of MiB.")
    return round(given) if isinstance(given, float) else given


def repr_short(value: Any) -> str:  # noqa: ANN401 (somebody's JSON)
    """A value in a message: short, and never deeper than Python's own stack."""
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    return shortened(repr(value))


def shortened(text: str) -> str:
    """The beginning of a text, without secrets: half of one would be found by nobody afterwards."""
    text = mask_secrets(text)
    return text if len(text) <= _SHOWN_LENGTH else f"{text[:_SHOWN_LENGTH]}…"


def _check(event: DeploymentEvent) -> None:
    """Have pydantic look at it: it says what is wrong, and takes "6144" for a number. Errors: InvalidEvent."""
    try:
        draft = EventDraft.model_validate({name: getattr(event, name) for name in EventDraft.model_fields})
    except ValidationError as error:
        reasons = reasons_of(error, lambda field: ".".join(_WIRE_NAMES.get(str(part), str(part)) for part in field))
        raise InvalidEvent("; ".join(map(str, reasons)), reasons=reasons) from error
    event.vram_allocated_mb = draft.vram_allocated_mb
