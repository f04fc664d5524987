"""Gateways: programs that take requests for models, and have a configuration that the registry renders."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator

from model_registry.entities.base import Draft, JsonObject, Row, ShortName, Text
from model_registry.entities.provider import ApiBase, VariableName

GatewayKindName = Literal["tensorzero", "litellm", "smg"]
DEFAULT_GATEWAY = "tensorzero"
"""The row that is there from the start, which `/api/tensorzero` is another name of."""
MOST_APPROVALS = 10
MOST_GATEWAYS = 100
"""Each has its own configuration in memory, and is validated again with every change."""

_OF_KIND = {"version": "tensorzero", "has": "tensorzero", "address": "smg"}
"""Settings that only one kind has."""


class Gateway(Row):
    """A gateway as stored."""

    name: str
    kind: str
    description: str | None = None
    content_of: str = DEFAULT_GATEWAY
    services: list[str] | None = None
    providers: list[str] | None = None
    labels: dict[str, Any] | None = None
    environment: list[str] | None = None
    pinned_revision: int | None = None
    promotion: dict[str, Any] | None = None
    settings: dict[str, Any] = {}


class GatewaySettings(Draft):
    """Settings of a gateway."""

    approval: int = Field(
        0, ge=0, le=MOST_APPROVALS, description="How many other keys must approve a promotion before it happens."
    )
    missing_variable: Literal["leave_out", "refuse"] = Field(
        "leave_out",
        description="What becomes of a provider whose key is not in `environment`: it is left out, or the whole "
        "configuration is refused.",
    )
    publish: Literal["partial", "strict"] | None = Field(
        None,
        description="Whether rows that validation refuses are left out, or hold back the whole configuration. Null: "
        "MODEL_REGISTRY_PUBLISH of the registry.",
    )
    version: Annotated[str, Field(pattern=r"^20\d\d\.\d{1,2}\.\d{1,3}$")] | None = Field(
        None,
        description="Of `tensorzero`: the version that runs there. Null: the newest, 2026.6.0.",
        examples=["2025.12.1"],
    )
    has: Annotated[list[Literal["clickhouse", "postgres", "valkey"]], Field(max_length=3)] | None = Field(
        None, description="Of `tensorzero`: the databases that it can reach. Null: not known."
    )
    address: ApiBase | None = Field(
        None,
        description="Of `smg`: its base URL, as other gateways reach it.",
        examples=["http://smg:30000/v1"],
    )


class GatewayDraft(Draft):
    """Writable fields of a gateway."""

    name: ShortName = Field(description="Its name, as in `/api/gateways/NAME/config`.", examples=["edge"])
    kind: GatewayKindName = Field(examples=["litellm"])
    description: Text | None = None
    content_of: ShortName | None = Field(
        None,
        description="The gateway whose functions, sections and files it has: its own name, or that of another. Null: "
        "`tensorzero`.",
    )
    services: Annotated[list[ShortName], Field(max_length=10_000)] | None = Field(
        None, description="The services whose functions it carries. Null: all.", examples=[["agent_zero"]]
    )
    providers: Annotated[list[ShortName], Field(max_length=10_000)] | None = Field(
        None, description="The providers whose models it carries. Null: all.", examples=[["ollama_local"]]
    )
    labels: JsonObject | None = Field(
        None,
        description="Labels that a node must have for its deployments to be used. Null: all nodes.",
        examples=[{"zone": "cellar"}],
    )
    environment: Annotated[list[VariableName], Field(max_length=10_000)] | None = Field(
        None,
        description="Names of the environment variables that exist where it runs, never values. Null: not known.",
        examples=[["OPENAI_API_KEY"]],
    )
    pinned_revision: int | None = Field(
        None, ge=0, le=2**63 - 1, description="The revision of the catalogue that it has. Null: the newest."
    )
    settings: GatewaySettings = GatewaySettings()

    @field_validator("settings")
    @classmethod
    def _of_kind(cls, value: GatewaySettings, others: ValidationInfo) -> GatewaySettings:
        for name, kind in _OF_KIND.items():
            if getattr(value, name) is not None and others.data.get("kind", kind) != kind:
                raise ValueError(f"{name} is a setting of the kind {kind}")
        return value
