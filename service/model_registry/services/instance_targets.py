"""Instances as targets of dispatch, and back. Pure."""

from __future__ import annotations

from model_registry.entities.model_service import ModelService, ServiceInstance
from model_registry.entities.service_capabilities import TRAINING
from model_registry.services.dispatch.targets import Target

TRAINING_GRACE_SECONDS = 24 * 3600.0
"""Unless the model service sets another. Training blocks the event loop, and with it the health check."""
_PREFIX = "instance:"


def key_of(instance: ServiceInstance) -> str:
    """The key of an instance's target."""
    return f"{_PREFIX}{instance.service_id}"


def target_of(service: ModelService, instance: ServiceInstance, *, version: str | None = None, tier: int = 0) -> Target:
    """An instance as dispatch sees it: `version` and `tier` as `versions.py` chose them for a request."""
    grace = service.training_grace_seconds
    trains = TRAINING in instance.capabilities
    return Target(
        key=key_of(instance),
        url=instance.service_url,
        capabilities=frozenset(instance.capabilities),
        weight=instance.weight,
        tier=tier,
        max_concurrent=instance.max_concurrent_requests,
        version=version,
        accepts=instance.status == "active",
        grace_seconds=(TRAINING_GRACE_SECONDS if grace is None else grace) if trains else 0.0,
    )
