"""Instances of model services as a registry shows them, and the fields that registrants write.

Read leniently, as all rows: see `rows.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from pydantic import BaseModel, Field

JsonObject = Mapping[str, Any]


class InstanceRow(BaseModel):
    """An instance: what was registered, and how it is, as the replica that answered knows it."""

    id: str = ""
    service_id: str
    service_url: str
    model_type: str
    capabilities: list[str] = Field(default_factory=list)
    weight: float = 1.0
    max_concurrent_requests: int | None = None
    timeout: float | None = None
    version: str | None = None
    labels: dict[str, Any] = Field(default_factory=dict)
    ttl_seconds: float | None = None
    training_flow: str = "direct"
    health: dict[str, Any] = Field(default_factory=dict)
    status: str = "active"
    status_reason: str | None = None
    registered_over: str = "http"
    created_at: str = ""
    updated_at: str = ""
    state: str = ""
    state_reason: str = ""
    in_flight: int = 0
    checked_seconds_ago: float | None = None
    versions: list[str] = Field(default_factory=list)


class InstanceHealthRow(BaseModel):
    """How an instance is."""

    service_id: str
    state: str
    reason: str = ""
    healthy: bool = False
    in_flight: int = 0
    breaker: str = ""
    cooldown_seconds: float = 0.0
    ramp: float = 1.0
    last_resort: bool = False
    probe: dict[str, Any] | None = None
    versions: list[str] = Field(default_factory=list)
    replica: str = ""


class RegistrationFields(TypedDict, total=False):
    """An instance. Times in seconds; None sets the default."""

    weight: float | None
    max_concurrent_requests: int | None
    timeout: float | None
    version: str | None
    labels: Mapping[str, str] | None
    ttl_seconds: float | None
    training_flow: str | None
    health: JsonObject | None


class ModelServiceFields(TypedDict, total=False):
    """A model service."""

    model_type: str
    description: str | None
    strategy: str | None
    sticky_header: str | None
    selected_version: str | None
    version_weights: Mapping[str, float]
    repeatable: Sequence[str] | None
    timeouts: Mapping[str, float]
    most_tries: int | None
    queue_length: int | None
    queue_seconds: float | None
    training_grace_seconds: float | None
    metadata: JsonObject
