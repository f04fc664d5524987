"""What GPU nodes publish, turned into `DeploymentEvent`s: every documented form, and nothing else.

Wire shapes were collected from running publishers (docs/gpu-events.md). Pure: the time of receipt comes in.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson
from pydantic import ValidationError

from model_registry.entities.deployment import LIVE_STATUSES, DeploymentEvent
from model_registry.errors import InvalidEvent, Reason
from model_registry.fleet.event_time import read_time, settled

LOADED = "mesh.gpu.model.loaded.v1"
UNLOADED = "mesh.gpu.model.unloaded.v1"
STATUS = "mesh.gpu.status.v1"
REJECTED = "mesh.gpu.rejected.v1"
SUBJECTS = (LOADED, UNLOADED, STATUS)
"""What the registry listens to. `REJECTED` is what it answers."""

MOST_LISTED = 1000
"""Models in one status message. No GPU holds as many; one transaction must not grow without bound."""

_KEPT = ("model_name", "session_id")
"""What else of an event is worth keeping, as metadata."""
_KEPT_LENGTH = 300
_VRAM = ("vram_allocated_mb", "vram_mb", "vram_used_mb")
_WIRE_NAMES = {"announced_model": "model_id"}
_SHOWN_LENGTH = 80
_MOST_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Heard:
    """What a message says."""

    events: list[DeploymentEvent] = field(default_factory=list)
    """None, when it is a check of the wiring, or a status of a node that has nothing loaded."""
    problems: list[Reason] = field(default_factory=list)
    """Entries of a status message that cannot be understood. The others count all the same."""

    @property
    def problem(self) -> str:
        """The problems in a line, as far as a line goes."""
        more = len(self.problems) - _MOST_SHOWN
        return "; ".join(map(str, self.problems[:_MOST_SHOWN])) + (f"; and {more} more" if more > 0 else "")


def read_event(subject: str, payload: bytes, *, received_at: datetime, default_node: str) -> Heard:
    """What a message says; nothing for the `{"test": true}` that people send. Errors: InvalidEvent, and no other."""
    try:
        content = orjson.loads(payload)
    except ValueError as error:
        raise InvalidEvent(f"The payload is not JSON: {error}.") from error
    if not isinstance(content, dict):
        raise InvalidEvent(f"The payload is {_shown(content)}, not a JSON object.")
    if content.get("test") is True and not content.keys() & {"model_id", "model_key", "data"}:
        return Heard()
    if subject == STATUS:
        return _read_status(content, received_at, default_node)
    if subject not in (LOADED, UNLOADED):
        raise InvalidEvent(f"The subject {subject!r} is not one of {', '.join(SUBJECTS)}.")
    return Heard([_read_model(subject, content, received_at, default_node)])


def _read_model(subject: str, content: dict[str, Any], received_at: datetime, default_node: str) -> DeploymentEvent:
    """One model, in any of the three forms: by node_id, by model_key, or by provider."""
    key = content.get("model_key")
    provider: Any
    model: Any
    if key is not None:
        provider, model = _split_key(key, "model_key")
    else:
        provider, model = _first(content, "provider_type", "provider"), content.get("model_id")
    if provider is None or model is None:
        raise InvalidEvent("It names no model: it needs model_key, or provider_type and model_id.")
    status = content.get("status")
    if status is None:
        status = "loaded" if subject == LOADED else "unloaded"
    elif subject == UNLOADED and isinstance(status, str) and status in LIVE_STATUSES:
        status = "unloaded"  # a payload copied from the loaded form; what was published where is what happened
    return _event(
        content,
        node_id=_node(content.get("node_id"), default_node),
        provider_type=provider,
        announced_model=model,
        status=status,
        event_at=settled(_time(content, "ts", "timestamp"), received_at),
    )


def _read_status(content: dict[str, Any], received_at: datetime, default_node: str) -> Heard:
    """The models a status message lists. What it does not list is left alone here."""
    data = content.get("data")
    listed = data.get("loaded_models") if isinstance(data, dict) else None
    if not isinstance(data, dict) or not isinstance(listed, dict):
        raise InvalidEvent("A status message needs data.loaded_models, an object.")
    if len(listed) > MOST_LISTED:
        raise InvalidEvent(f"data.loaded_models lists {len(listed)} models; {MOST_LISTED} are the most.")
    named = _first(content, "node_id")
    node = _node(_first(data, "node_id") if named is None else named, default_node)
    event_at = settled(_time(content, "ts", "timestamp") or _time(data, "ts", "timestamp"), received_at)
    heard = Heard()
    for key, entry in listed.items():
        try:
            heard.events.append(_read_listed(key, entry, node, event_at))
        except InvalidEvent as error:
            where = f"data.loaded_models.{_shortened(key)}"
            reasons = error.reasons or (Reason("", error.message),)
            heard.problems.extend(Reason(f"{where}.{r.where}".rstrip("."), r.message) for r in reasons)
    return heard


def _read_listed(key: str, entry: Any, node: str, event_at: datetime) -> DeploymentEvent:  # noqa: ANN401 (somebody's JSON)
    if not isinstance(entry, dict):
        raise InvalidEvent(f"is {_shown(entry)}, not an object")
    provider, model = _first(entry, "provider", "provider_type"), entry.get("model_id")
    if provider is None or model is None:
        provider, model = _split_key(key, "The key")
    state = _first(entry, "state", "status")
    return _event(
        entry,
        node_id=node,
        provider_type=provider,
        announced_model=model,
        status="loaded" if state is None else state,
        loaded_at=_time(entry, "loaded_at"),
        event_at=event_at,
    )


def _event(said: dict[str, Any], **fields: Any) -> DeploymentEvent:  # noqa: ANN401 (somebody's JSON, checked here)
    """The event, with what is said the same way in every form."""
    try:
        return DeploymentEvent(
            **fields,
            vram_allocated_mb=_vram(_first(said, *_VRAM)),
            endpoint=said.get("endpoint"),
            error_message=said.get("error_message"),
            metadata={k: said[k] for k in _KEPT if isinstance(said.get(k), str) and len(said[k]) <= _KEPT_LENGTH},
        )
    except ValidationError as error:
        reasons = [
            Reason(".".join(_WIRE_NAMES.get(str(part), str(part)) for part in e["loc"]), _said(e["msg"]))
            for e in error.errors(include_url=False, include_input=False, include_context=False)
        ]
        raise InvalidEvent("; ".join(map(str, reasons)), reasons=reasons) from error


def _vram(given: Any) -> Any:  # noqa: ANN401 (somebody's JSON)
    """MiB; a fraction is rounded. What pydantic would take for a number and is none is refused here."""
    if isinstance(given, bool):
        raise InvalidEvent(f"vram_allocated_mb: {_shown(given)} is not a number of MiB.")
    return round(given) if isinstance(given, float) else given


def _split_key(key: Any, what: str) -> tuple[str, str]:  # noqa: ANN401 (somebody's JSON)
    """`<provider>/<model_id>`; the model's id may hold further slashes."""
    provider, slash, model = key.partition("/") if isinstance(key, str) else ("", "", "")
    if not slash or not provider or not model:
        raise InvalidEvent(f"{what} is {_shown(key)}, not <provider>/<model_id>.")
    return provider, model


def _node(given: Any, default_node: str) -> Any:  # noqa: ANN401 (somebody's JSON)
    """The node; one that names itself with nothing is the default node."""
    return default_node if given is None or given == "" else given


def _time(said: dict[str, Any], *keys: str) -> datetime | None:
    """The first time given under these keys."""
    given = _first(said, *keys)
    if given is None:
        return None
    try:
        return read_time(given)
    except ValueError as error:
        where = next(key for key in keys if said.get(key) is given)
        raise InvalidEvent(f"{where}: {_shown(given)} {error}.") from error


def _first(said: dict[str, Any], *keys: str) -> Any:  # noqa: ANN401 (somebody's JSON)
    """The first of these that says something; null says nothing."""
    return next((said[key] for key in keys if said.get(key) is not None), None)


def _said(message: str) -> str:
    return message.removeprefix("Value error, ")


def _shown(value: Any) -> str:  # noqa: ANN401 (somebody's JSON)
    """A value in a message: short, and never deeper than Python's own stack."""
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    return _shortened(repr(value))


def _shortened(text: str) -> str:
    return text if len(text) <= _SHOWN_LENGTH else f"{text[:_SHOWN_LENGTH]}…"
