"""The choices that an error leaves, as lines for people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from model_registry.errors import SHOWN_DATA, RegistryError


def choices(error: RegistryError) -> Iterator[str]:
    """One line a kind: rows that fit, rows that refer to it, values that are allowed. Not what the message names."""
    for key in SHOWN_DATA:
        value = error.data.get(key)
        shown = [_label(item) for item in (value if isinstance(value, list | tuple) else [value]) if item is not None]
        if not all(item in error.message for item in shown):
            yield f"{key}: {', '.join(shown)}"


def _label(item: Any) -> str:  # noqa: ANN401 (any JSON value)
    """A row by its label and the id that names it alone."""
    if isinstance(item, dict) and {"id", "label"} <= item.keys():
        return f"{item['label']} ({item['id']})"
    return str(item)
