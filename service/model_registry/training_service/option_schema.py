"""The options of a training job for one task, as a JSON Schema made of what the models recommend."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from model_registry.entities.training_entry import Entry, priority_of

_OPTIONS: dict[str, tuple[str, str, str]] = {
    "epochs": ("integer", "epochs", ""),
    "batch_size": ("integer", "batch_size", "recommended_batch_size"),
    "learning_rate": ("number", "learning_rate", "recommended_lr"),
    "image_size": ("integer", "image_size", "input_size"),
    "optimizer": ("string", "optimizer", ""),
    "scheduler": ("string", "scheduler", ""),
    "weight_decay": ("number", "weight_decay", ""),
    "augmentation": ("string", "augmentation", ""),
}
"""Option -> its type, its key in `recommended_settings`, and the entry's own field for it."""


def option_schema(entries: Sequence[Entry], task_type: str) -> dict[str, Any] | None:
    """Return the schema, or None where no model is for the task.

    A default is what the model of the best priority recommends; a range spans those of all.
    """
    fitting = [entry for entry in entries if task_type in _list(entry.get("task_types"))]
    if not fitting:
        return None
    fitting.sort(key=priority_of)
    properties: dict[str, Any] = {
        "model_name": {"type": "string", "enum": [entry["model_name"] for entry in fitting]},
        **{name: found for name, option in _OPTIONS.items() if (found := _property(fitting, *option))},
        "pretrained": {"type": "boolean", "default": fitting[0].get("pretrained_available") is True},
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": properties,
        "required": ["model_name"],
        "additionalProperties": True,
    }


def _property(entries: Sequence[Entry], kind: str, key: str, own: str) -> dict[str, Any] | None:
    settings = [_recommended(entry, key) for entry in entries]
    values = (
        value
        for entry, setting in zip(entries, settings, strict=True)
        for value in (setting.get("value"), entry.get(own))
    )
    default = next((value for value in values if _is(kind, value)), None)
    if default is None:
        return None
    found: dict[str, Any] = {"type": kind, "default": default}
    if bounds := [bound for setting in settings for bound in _bounds(setting, kind)]:
        found |= {"minimum": min([*bounds, default]), "maximum": max([*bounds, default])}
    if notes := list(dict.fromkeys(note for setting in settings if isinstance(note := setting.get("note"), str))):
        found["description"] = "; ".join(notes)
    return found


def _recommended(entry: Entry, key: str) -> Mapping[str, Any]:
    """Return a recommended setting, which is an object with a value, or the value alone."""
    settings = entry.get("recommended_settings")
    setting = settings.get(key) if isinstance(settings, Mapping) else None
    return setting if isinstance(setting, Mapping) else {"value": setting}


def _bounds(setting: Mapping[str, Any], kind: str) -> Iterator[Any]:
    return (bound for bound in _list(setting.get("range")) if _is(kind, bound))


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _is(kind: str, value: object) -> bool:
    if kind == "string":
        return isinstance(value, str)
    return not isinstance(value, bool) and isinstance(value, int if kind == "integer" else int | float)
