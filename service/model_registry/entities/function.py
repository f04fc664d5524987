"""A function: something a service does with models; the gateway's function."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from model_registry.entities.base import Draft, JsonObject, Metadata, Row, ShortName, Text, gateway_name, printable


class Function(Row):
    """A function as stored."""

    service_name: str
    function_name: str
    name: str
    type: str = "chat"
    description: str | None = None
    tensorzero: dict[str, Any] = {}
    metadata: dict[str, Any] = {}


def default_function_name(service_name: str, function_name: str) -> str:
    """Return the gateway's default key of a function. The database has the same rule."""
    return function_name if service_name == "tensorzero" else f"{service_name}_{function_name}"


class FunctionDraft(Draft):
    """Writable fields of a function."""

    service_name: ShortName = Field(examples=["agent_zero"])
    function_name: ShortName = Field(examples=["chat"])
    name: Annotated[str, StringConstraints(min_length=1, max_length=401), printable, gateway_name] | None = Field(
        None,
        description="The gateway's function key; by default <service_name>_<function_name>.",
        examples=["agent_zero_chat"],
    )
    type: Literal["chat", "json"] = "chat"
    description: Text | None = None
    tensorzero: JsonObject = Field(default={}, description="Extra keys of the gateway's function table.")
    metadata: Metadata = {}
