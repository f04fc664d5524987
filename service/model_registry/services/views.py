"""Instances as callers see them: what was registered, and how they are as this replica knows it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, Field

from model_registry.entities.model_service import ServiceInstance
from model_registry.services.dispatch.targets import TargetState, TargetView
from model_registry.services.probing import Probe
from model_registry.services.register import model_service_of
from model_registry.services.registration import HealthCheck
from model_registry.snapshot.snapshot import Snapshot

_REPLICA = "In this replica."
_HEALTH = HealthCheck().model_dump()
"""Of an instance that says nothing of it."""
_AS_STORED = (
    *("id", "service_id", "service_url", "capabilities", "weight", "max_concurrent_requests", "labels", "ttl_seconds"),
    *("training_flow", "status", "status_reason", "registered_over", "created_at", "updated_at"),
)


@dataclass(frozen=True, slots=True)
class Known:
    """What this replica knows of an instance beside what was registered."""

    view: TargetView
    probe: Probe | None
    versions: Sequence[str]
    now: float
    """Monotonic seconds."""


class InstanceView(BaseModel):
    """An instance of a model service."""

    id: str
    service_id: str
    service_url: str
    model_type: str
    capabilities: list[str]
    weight: float
    max_concurrent_requests: int | None
    timeout: float | None
    version: str | None
    labels: dict[str, str]
    ttl_seconds: float | None
    training_flow: str
    health: HealthCheck
    status: str = Field(description="`active`, `draining` or `retired`: whether it gets new requests.")
    status_reason: str | None
    registered_over: str
    created_at: str
    updated_at: str
    state: str = Field(
        description="`healthy`, `busy`, `warming`, `degraded`, `offline`, `misconfigured`, `rate-limited`, "
        "`draining` or `retired`, as this replica knows it."
    )
    state_reason: str
    in_flight: int = Field(description=f"Requests to it that are running. {_REPLICA}")
    checked_seconds_ago: float | None = Field(description="Age of the last probe; null: it was not probed yet.")
    versions: list[str] = Field(description="What it lists at /models.")


class ProbeView(BaseModel):
    """The last probe of an instance."""

    kind: str
    status: int | None
    detail: str
    seconds: float
    seconds_ago: float


class InstanceHealth(BaseModel):
    """How an instance is, as this replica knows it."""

    service_id: str
    status: str = Field(description="The same as `state`, for programs that look here.")
    state: str
    reason: str
    healthy: bool = Field(description="Whether requests are sent to it as usual: it is `healthy` or `busy`.")
    in_flight: int
    breaker: str = Field(description="`closed`, `open` or `half_open`: the worst of its breakers.")
    cooldown_seconds: float
    ramp: float
    last_resort: bool
    probe: ProbeView | None
    versions: list[str]
    replica: str = Field(description="Who says so: each replica probes for itself.")


def state_of(instance: ServiceInstance, known: Known) -> tuple[TargetState, str]:
    """The state and its reason: what was decided about an instance comes first, then how it is."""
    view = known.view
    if instance.status in ("draining", "retired"):
        state: TargetState = "draining" if instance.status == "draining" else "retired"
        left = f"{view.in_flight} requests are running" if view.in_flight else "no request is running in this replica"
        return state, f"{instance.status_reason}; {left}" if instance.status_reason else left
    if known.probe is None and view.state == "healthy" and checks(instance):
        return "warming", "it was not probed yet"
    return view.state, view.reason


def checks(instance: ServiceInstance) -> bool:
    """Whether the instance is probed at all."""
    return instance.health.get("check") != "none"


def instance_view(snapshot: Snapshot, instance: ServiceInstance, known: Known) -> dict[str, Any]:
    """All there is to say of an instance."""
    state, reason = state_of(instance, known)
    probe = known.probe
    return {
        **{name: getattr(instance, name) for name in _AS_STORED},
        "model_type": model_service_of(snapshot, instance).model_type,
        "timeout": instance.timeout_seconds,
        "version": instance.model_version,
        "health": _HEALTH | instance.health,
        "state": state,
        "state_reason": reason,
        "in_flight": known.view.in_flight,
        "checked_seconds_ago": None if probe is None else round(known.now - probe.at, 3),
        "versions": list(known.versions),
    }


def health_view(instance: ServiceInstance, known: Known, replica: str) -> dict[str, Any]:
    """How an instance is."""
    view, probe = known.view, known.probe
    state, reason = state_of(instance, known)
    return {
        "service_id": instance.service_id,
        "status": state,
        "state": state,
        "reason": reason,
        "healthy": state in {"healthy", "busy"},
        "in_flight": view.in_flight,
        "breaker": view.breaker,
        "cooldown_seconds": round(view.cooldown_seconds, 3),
        "ramp": round(view.ramp, 3),
        "last_resort": view.last_resort,
        "probe": probe
        and {
            "kind": probe.result.kind,
            "status": probe.result.status,
            "detail": probe.result.detail,
            "seconds": round(probe.seconds, 4),
            "seconds_ago": round(known.now - probe.at, 3),
        },
        "versions": list(known.versions),
        "replica": replica,
    }
