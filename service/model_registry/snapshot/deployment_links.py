"""The models that a deployment belongs to, and why to none. The database decides: schema/24_link_rule.sql."""

from __future__ import annotations

from collections.abc import Iterator

from model_registry.entities.deployment import Deployment
from model_registry.entities.model import Model
from model_registry.entities.model_name import ascii_lower, name_key
from model_registry.entities.provider import Provider
from model_registry.entities.server_address import server_address
from model_registry.snapshot.live_deployments import node_of
from model_registry.snapshot.snapshot import Snapshot

_ADD = "add it with POST /api/models, or with `model-registry knowledge import`"
_SHOWN = 3


def models_of(snapshot: Snapshot, deployment: Deployment) -> list[Model]:
    """Return all rows that a deployment is linked to, the best first."""
    models = (snapshot.models.get(model_id) for model_id in deployment.linked)
    return [model for model in models if model is not None]


def why_unlinked(snapshot: Snapshot, deployment: Deployment) -> str | None:
    """Return why a deployment is linked to no model, and what to do; None when it is linked."""
    if models_of(snapshot, deployment):
        return None
    named = snapshot.models.where("key", name_key(deployment.announced_model))
    here = [provider for provider in providers_at(snapshot, deployment) if provider.active]
    if here:
        names = ", ".join(provider.name for provider in here[:_SHOWN])
        return f"the provider at its address, {names}, has no model {deployment.announced_model!r}: {_ADD}"
    if not named:
        return f"no model of the catalogue has the model_id {deployment.announced_model!r}: {_ADD}"
    providers = {p.id: p for model in named if (p := snapshot.providers.get(model.provider_id))}.values()
    shown = ", ".join(f"{p.name} ({p.type})" for p in list(providers)[:_SHOWN])
    more = f" and {len(providers) - _SHOWN} more" if len(providers) > _SHOWN else ""
    return (
        f"models of this name are at {shown}{more}: none of these is a server of type {deployment.provider_type!r}, "
        "and none has its address as api_base. Change one of them, or add a provider for it"
    )


def unlinked(snapshot: Snapshot) -> Iterator[tuple[Deployment, str]]:
    """Yield the loaded deployments that are linked to no model, each with the reason."""
    for deployment in snapshot.deployments:
        if deployment.status == "loaded" and (reason := why_unlinked(snapshot, deployment)):
            yield deployment, reason


def providers_at(snapshot: Snapshot, deployment: Deployment) -> list[Provider]:
    """Return the providers at the address that a deployment announces, or its node does."""
    node = node_of(snapshot, deployment)
    node_address = server_address(node.endpoint if node else None)
    address = server_address(deployment.endpoint) or node_address
    if address is None:
        return []
    for place in _places(address, deployment.node_id, node_address):
        if providers := snapshot.providers.where("place", place):
            return providers
    return []


def _places(address: str, node_id: str, node_address: str | None) -> list[str]:
    """Return the hosts and ports that an address means, the surest first, as `deployment_places` of the database."""
    place = address.partition("/")[0]
    host, _, port = place.rpartition(":")
    named = f"{ascii_lower(node_id)}:{port}"
    if host != "localhost":
        return [place, named]
    there = node_address.partition("/")[0].rpartition(":")[0] if node_address else "localhost"
    return [*([] if there == "localhost" else [f"{there}:{port}"]), named, place]
