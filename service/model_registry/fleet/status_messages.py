"""Parses `mesh.gpu.status.v1`: the models that a node has loaded, and its memory.

Most of these messages repeat the one before. A digest over the fields that do not always change detects them, and the
rest of the message is then skipped. Parsing is pure: the time of receipt is an argument.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

import orjson
from pydantic import TypeAdapter, ValidationError

from model_registry.entities.base import MAX_INT32, ShortName
from model_registry.entities.deployment import DeploymentEvent
from model_registry.entities.field_errors import reasons_of
from model_registry.entities.node import NodeDraft, StatusMessage, UnreadableModel
from model_registry.errors import InvalidEvent, Reason
from model_registry.fleet.event_fields import (
    clamp_event_time,
    event_of,
    first,
    node_of,
    parse_time,
    repr_short,
    shortened,
    split_key,
)

MOST_LISTED = 1000
"""Models in one status message. No GPU holds as many; one transaction must not grow without bound."""
MOST_GPUS = 64

GOOD_SECONDS = 60.0
"""After this long a message is recorded whole again, even if unchanged: somebody may have edited rows in SQL."""
_MOST_NODES = 100_000

_TOTAL, _USED, _FREE = "total_vram_mb", "used_vram_mb", "free_vram_mb"
_OF_MODEL = (
    *("provider", "provider_type", "model_id", "state", "status", "vram_allocated_mb", "vram_mb", "vram_used_mb"),
    *("endpoint", "error_message", "loaded_at", "model_name", "session_id"),
)
"""The significant fields of a listed model. The rest (idle_seconds, ...) changes all the time."""
_OF_GPU = ("gpu_index", "name", _TOTAL)
_NAME_LENGTH = 200
_NODE: TypeAdapter[str] = TypeAdapter(ShortName)


class StatusDigests:
    """The digest of each node's last status message that this replica recorded.

    A wrong one only costs sending a message twice: the database decides.
    """

    def __init__(self) -> None:
        self._known: dict[str, tuple[str, float]] = {}

    def digest_of(self, node_id: str) -> str | None:
        """Return the digest of the node's last message, unless it has expired."""
        digest, good_until = self._known.get(node_id, ("", 0.0))
        return digest if digest and time.monotonic() < good_until else None

    def note(self, message: StatusMessage) -> None:
        """Remember a message that was recorded whole."""
        if len(self._known) >= _MOST_NODES:
            self._known.clear()
        self._known[message.node_id] = (message.digest, time.monotonic() + GOOD_SECONDS)

    def forget(self, node_id: str) -> None:
        """Forget a digest that the database contradicts."""
        self._known.pop(node_id, None)


def read_status(
    content: dict[str, Any], received_at: datetime, default_node: str, known: Callable[[str], str | None]
) -> tuple[StatusMessage, list[Reason]]:
    """Return the message and the problems of its unreadable parts. Errors: InvalidEvent, when all is unreadable."""
    data = content.get("data")
    listed = data.get("loaded_models") if isinstance(data, dict) else None
    if not isinstance(data, dict) or not isinstance(listed, dict):
        raise InvalidEvent("A status message needs data.loaded_models, an object.")
    if len(listed) > MOST_LISTED:
        raise InvalidEvent(f"data.loaded_models lists {len(listed)} models; {MOST_LISTED} are the most.")
    named = first(content, ("node_id",))
    node = _node(node_of(first(data, ("node_id",)) if named is None else named, default_node))
    said_at = parse_time(content, ("ts", "timestamp")) or parse_time(data, ("ts", "timestamp"))
    gpus, endpoint = _gpus(data), first(content, ("endpoint",)) or first(data, ("endpoint",))
    message = StatusMessage(
        node, clamp_event_time(said_at, received_at), received_at, _digest(node, endpoint, gpus, listed)
    )
    problems: list[Reason] = []
    message.vram_used_mb = _memory(gpus, _USED, problems)
    message.vram_free_mb = _memory(gpus, _FREE, problems)
    if message.digest and known(node) == message.digest:
        return message, []
    message.vram_total_mb = _memory(gpus, _TOTAL, problems)
    message.gpus = [_gpu(gpu) for gpu in gpus] or None
    message.endpoint = _endpoint(endpoint, problems)
    message.listed = _read_listed(listed, node, message.said_at, problems)
    return message, problems


def _node(given: object) -> str:
    try:
        return _NODE.validate_python(given)
    except ValidationError as error:
        reason = reasons_of(error, lambda _: "node_id")[0]
        raise InvalidEvent(f"{reason}.", reasons=[reason]) from error


def _read_listed(
    listed: dict[str, Any], node: str, said_at: datetime, problems: list[Reason]
) -> list[DeploymentEvent | UnreadableModel]:
    """Parse the listed models. One with a name and unreadable fields still counts as loaded."""
    models: dict[tuple[Any, Any], DeploymentEvent | UnreadableModel] = {}
    for key, entry in sorted(listed.items()):
        named: tuple[Any, Any] = ("", "")
        try:
            named = _name(key, entry)
            event = _read_model(entry, named, node, said_at)
        except InvalidEvent as error:
            where = f"data.loaded_models.{shortened(key)}"
            reasons = error.reasons or (Reason("", error.message),)
            problems.extend(Reason(f"{where}.{r.where}".rstrip("."), r.message) for r in reasons)
            if all(isinstance(part, str) and part.isprintable() for part in named) and all(named):
                models.setdefault(named, UnreadableModel(*named))
        else:
            if event.status != "unloaded":  # the same as not being listed
                models[named] = event
    return list(models.values())


def _name(key: str, entry: object) -> tuple[Any, Any]:
    """Return provider type and model. Errors: InvalidEvent."""
    if not isinstance(entry, dict):
        raise InvalidEvent(f"is {repr_short(entry)}, not an object")
    provider, model = first(entry, ("provider", "provider_type")), entry.get("model_id")
    return split_key(key, "The key") if provider is None or model is None else (provider, model)


def _read_model(entry: dict[str, Any], named: tuple[Any, Any], node: str, said_at: datetime) -> DeploymentEvent:
    state = first(entry, ("state", "status"))
    event = DeploymentEvent(node, *named, "loaded" if state is None else state, said_at)
    event.loaded_at = parse_time(entry, ("loaded_at",))
    return event_of(entry, event)


def _gpus(data: dict[str, Any]) -> list[dict[str, Any]]:
    """Return one object per GPU; `metrics` may be a single object."""
    metrics = data.get("metrics")
    given = metrics if isinstance(metrics, list) else [metrics]
    return [gpu for gpu in given[:MOST_GPUS] if isinstance(gpu, dict)]


def _gpu(gpu: dict[str, Any]) -> dict[str, Any]:
    """Return the lasting fields of a GPU."""
    values: list[Any] = [gpu.get(key) for key in _OF_GPU]
    index, name, total = values
    return {
        "index": index if type(index) is int and 0 <= index <= MAX_INT32 else None,
        "name": name if isinstance(name, str) and name.isprintable() and len(name) <= _NAME_LENGTH else None,
        "vram_total_mb": round(total) if _is_memory(total) else None,
    }


def _memory(gpus: list[dict[str, Any]], name: str, problems: list[Reason]) -> int | None:
    """Sum over the GPUs, in MiB; None where a GPU does not report it."""
    values: list[Any] = [gpu.get(name) for gpu in gpus]
    if not values or any(value is None for value in values):
        return None
    odd = next((value for value in values if not _is_memory(value)), None)
    if odd is not None or sum(values) > MAX_INT32:
        problems.append(Reason(f"data.metrics.{name}", f"{repr_short(odd)} is not a number of MiB."))
        return None
    total: int = round(sum(values))
    return total


def _is_memory(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= MAX_INT32


def _endpoint(given: object, problems: list[Reason]) -> str | None:
    try:
        return NodeDraft(endpoint=given).endpoint
    except ValueError:
        problems.append(Reason("endpoint", f"{repr_short(given)} is not an endpoint."))
        return None


def _digest(node: str, endpoint: object, gpus: list[dict[str, Any]], listed: dict[str, Any]) -> str:
    """Return a digest that is equal for messages that differ only in time and free memory."""
    models = [
        (key, [entry.get(name) for name in _OF_MODEL] if isinstance(entry, dict) else entry)
        for key, entry in sorted(listed.items())
    ]
    significant = [node, endpoint, [[gpu.get(name) for name in _OF_GPU] for gpu in gpus], models]
    try:
        content = orjson.dumps(significant, option=orjson.OPT_SORT_KEYS)
    except TypeError:  # nested deeper than orjson writes: treat each as different
        return ""
    return hashlib.blake2b(content, digest_size=16).hexdigest()
