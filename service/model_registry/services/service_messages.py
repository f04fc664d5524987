"""Parses what model services publish: registrations, deregistrations and signs of life. Pure.

The shapes are those of HTTP (docs/how-to/model-services.md). Unknown fields are ignored, as in messages of GPU nodes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from pydantic import ValidationError

from model_registry.entities.field_errors import reasons_of
from model_registry.errors import InvalidEvent
from model_registry.fleet.event_fields import read_object, repr_short
from model_registry.messaging.subjects import SERVICE_REGISTERED, SERVICE_STATUS, SERVICE_SUBJECTS, SERVICE_UNREGISTERED
from model_registry.services.registration import Registration

TTL_SECONDS = 60.0
"""Time to live of an instance whose message sets none: nobody can be asked whether a publisher is still there."""
_LONGEST_ID = 200


@dataclass(frozen=True, slots=True)
class ServiceMessage:
    """The content of a message."""

    kind: Literal["registered", "unregistered", "status"]
    service_id: str
    registration: Registration | None = None
    """All of it: also of a status message that repeats it, so that an instance comes back by itself."""


_KINDS: dict[str, Literal["registered", "unregistered", "status"]] = {
    SERVICE_REGISTERED: "registered",
    SERVICE_UNREGISTERED: "unregistered",
    SERVICE_STATUS: "status",
}


def read_service_message(subject: str, payload: bytes) -> ServiceMessage | None:
    """Parse a message; None for the `{"test": true}` that people send. Errors: InvalidEvent, and no other."""
    content = read_object(payload)
    if content.get("test") is True and "service_id" not in content:
        return None
    if (kind := _KINDS.get(subject)) is None:
        raise InvalidEvent(f"The subject {subject!r} is not one of {', '.join(SERVICE_SUBJECTS)}.")
    service_id = content.get("service_id")
    if not isinstance(service_id, str) or not 0 < len(service_id) <= _LONGEST_ID:
        raise InvalidEvent(f"service_id: {repr_short(service_id)} is not the name of an instance.")
    whole = kind == "registered" or (kind == "status" and "service_url" in content)
    return ServiceMessage(kind, service_id, _registration(content) if whole else None)


def _registration(content: dict[str, Any]) -> Registration:
    try:
        return Registration.model_validate({"ttl_seconds": TTL_SECONDS, **content})
    except ValidationError as error:
        raise InvalidEvent("; ".join(map(str, reasons_of(error)))) from error
