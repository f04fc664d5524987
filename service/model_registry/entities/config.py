"""What of a gateway's configuration the registry keeps without modelling it: whole sections, and files."""

from __future__ import annotations

from typing import Any

from model_registry.entities.base import Row


class ConfigSection(Row):
    """A top-level table of the gateway's configuration."""

    name: str
    value: dict[str, Any]


class ConfigFile(Row):
    """A template or schema that a configuration refers to by its path."""

    path: str
    content: str
