"""A function: something a service does with models; and its mappings: which model serves it, as which variant."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from model_registry.entities.base import (
    MAX_INT32,
    Draft,
    GatewayShortName,
    JsonObject,
    Metadata,
    Row,
    ShortName,
    Text,
    gateway_name,
    printable,
)
from model_registry.entities.gateway import DEFAULT_GATEWAY


class Function(Row):
    """A function as stored."""

    service_name: str
    function_name: str
    name: str
    type: str = "chat"
    description: str | None = None
    tensorzero: dict[str, Any] = {}
    litellm: dict[str, Any] = {}
    metadata: dict[str, Any] = {}
    gateway: str = DEFAULT_GATEWAY
    project: str | None = None


def default_function_name(service_name: str, function_name: str, gateway: str = DEFAULT_GATEWAY) -> str:
    """Return the gateway's default key of a function. The database has the same rule."""
    return function_name if service_name in {DEFAULT_GATEWAY, gateway} else f"{service_name}_{function_name}"


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
    litellm: JsonObject = Field(default={}, description="Extra keys of LiteLLM's entries of this function.")
    metadata: Metadata = {}
    gateway: ShortName = Field(
        DEFAULT_GATEWAY, description="The gateway that it belongs to; others may have its content."
    )
    project: ShortName | None = Field(None, description="The project that it was imported from. Null: none.")


class Mapping(Row):
    """A mapping as stored."""

    service_name: str
    function_name: str
    variant_name: str
    model_id: str
    priority: int = 1
    weight: float = 1.0
    fallback_model_id: str | None = None
    tensorzero: dict[str, Any] = {}
    litellm: dict[str, Any] = {}
    metadata: dict[str, Any] = {}


class MappingDraft(Draft):
    """Writable fields of a mapping, with its models resolved."""

    service_name: ShortName = Field(examples=["agent_zero"])
    function_name: ShortName = Field(examples=["chat"])
    variant_name: GatewayShortName = Field(examples=["local_qwen8b"])
    model_id: str
    priority: int = Field(1, ge=-MAX_INT32, le=MAX_INT32, description="Lower is tried first.")
    weight: float = Field(1.0, ge=0, le=1e300, description="Share of the traffic among variants of the same priority.")
    fallback_model_id: str | None = None
    tensorzero: JsonObject = Field(
        default={}, description="Extra keys of the gateway's variant table.", examples=[{"temperature": 0.2}]
    )
    litellm: JsonObject = Field(default={}, description="Extra keys of LiteLLM's entry of this mapping.")
    metadata: Metadata = {}
