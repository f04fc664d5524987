"""Capabilities: free tags, a few of them with a canonical name."""

from __future__ import annotations

from collections.abc import Iterable

FLAGS = ("streaming", "vision", "tool_use", "json_mode", "structured_outputs", "training", "inference")
"""Tags that are also shown as flags."""

_SYNONYMS = {"function_calling": "tool_use", "tools": "tool_use", "tool_calling": "tool_use"}


def canonical(tag: str) -> str:
    """Return the canonical name of a capability: `tool_use` for `function_calling`, in any case."""
    lowered = tag.lower()
    return _SYNONYMS.get(lowered, lowered)


def flags(capabilities: Iterable[str]) -> dict[str, bool]:
    """Return each well-known capability, and whether the tags include it."""
    known = {canonical(tag) for tag in capabilities}
    return {flag: flag in known for flag in FLAGS}
