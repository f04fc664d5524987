"""Capabilities: free tags, a few of which every program knows by one name."""

from __future__ import annotations

from collections.abc import Iterable

FLAGS = ("streaming", "vision", "tool_use", "json_mode", "structured_outputs", "training", "inference")
"""Tags that are shown as yes or no too."""

_SYNONYMS = {"function_calling": "tool_use", "tools": "tool_use", "tool_calling": "tool_use"}


def canonical(tag: str) -> str:
    """The one name of a capability: what programs call `function_calling` is `tool_use`, in any case."""
    lowered = tag.lower()
    return _SYNONYMS.get(lowered, lowered)


def flags(capabilities: Iterable[str]) -> dict[str, bool]:
    """Which of the well-known capabilities these tags hold."""
    held = {canonical(tag) for tag in capabilities}
    return {flag: flag in held for flag in FLAGS}
