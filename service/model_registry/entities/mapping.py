"""A mapping: which model serves which function of which service, as which variant."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from model_registry.entities.base import MAX_INT32, Draft, GatewayShortName, JsonObject, Metadata, Row, ShortName


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
    metadata: Metadata = {}
