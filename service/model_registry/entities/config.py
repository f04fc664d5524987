"""Parts of a gateway's configuration that the registry stores without modelling them: sections and files."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from model_registry.entities.base import Draft, JsonObject, LongName, Row, ShortName, Text
from model_registry.entities.gateway import DEFAULT_GATEWAY


class ConfigSection(Row):
    """A top-level table of the gateway's configuration."""

    name: str
    value: dict[str, Any]
    gateway: str = DEFAULT_GATEWAY
    projects: dict[str, str] = {}


class ConfigSectionDraft(Draft):
    """Writable fields of a section."""

    name: ShortName = Field(examples=["gateway"])
    value: JsonObject = Field(description="The table.", examples=[{"debug": True}])


class ConfigFile(Row):
    """A template or schema that a configuration references by path."""

    path: str
    content: str
    gateway: str = DEFAULT_GATEWAY
    project: str | None = None


class ConfigFileDraft(Draft):
    """Writable fields of a file."""

    path: LongName = Field(
        description="Relative to tensorzero.toml.", examples=["functions/chat/baseline/system_template.minijinja"]
    )
    content: Text = Field(description="Text in UTF-8.", examples=["You are a helpful assistant."])
