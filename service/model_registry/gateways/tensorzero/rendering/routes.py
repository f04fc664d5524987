"""Turns a model's live deployments into further providers of the gateway's model, or into omissions with reasons.

Selecting and ordering live deployments is in `snapshot/live_deployments.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

from model_registry.entities.deployment import Deployment
from model_registry.entities.model import Model
from model_registry.entities.openai_address import Address, deployment_address
from model_registry.entities.provider import Provider
from model_registry.entities.provider_types import PROVIDER_TYPES
from model_registry.gateways.omission import DEPLOYMENT, Omission
from model_registry.gateways.tensorzero.project import Table
from model_registry.gateways.tensorzero.rendering.provider_tables import ProviderTable, why_left_out
from model_registry.snapshot.live_deployments import is_routed, live_deployments, node_of
from model_registry.snapshot.snapshot import Snapshot
from model_registry.snapshot.through_gateways import is_through

MOST_ROUTES = 100
"""Routes per row, at most. Every change of the model renders and checks each route's table again."""

BEYOND = f"the {MOST_ROUTES} that come first are asked, and no more"


@dataclass(frozen=True, slots=True)
class Route:
    """A live deployment as a provider of the gateway's model."""

    key: str
    deployment: Deployment
    base: str

    def table(self, own: Table) -> Table:
        """Return the offer's own table with this address and the model name announced there."""
        named = {"model_name": self.deployment.announced_model} if "model_name" in own else {}
        return own | {"api_base": self.base} | named


@dataclass(frozen=True, slots=True)
class Routes:
    """The routes of one offer, best first, and the live deployments that are not routed."""

    routes: tuple[Route, ...] = ()
    omissions: tuple[Omission, ...] = ()


def routing_fault(provider: Provider) -> str | None:
    """Return why this provider cannot be routed by deployments, or None."""
    kind = PROVIDER_TYPES.get(provider.type)
    if not is_routed(provider) or kind is None or kind.routable:
        return None
    able = ", ".join(sorted(name for name, other in PROVIDER_TYPES.items() if other.routable))
    return f"deployments needs a type whose servers have an api_base: one of {able}"


def routes_of(snapshot: Snapshot, offer: ProviderTable) -> Routes:
    """Return the routes that gateways try before the provider's own address; none, unless routed by deployments."""
    if not is_routed(offer.provider) or routing_fault(offer.provider):
        return Routes()
    routes: list[Route] = []
    omissions = []
    keys = _keys(snapshot, offer)
    for live in live_deployments(snapshot, offer.model.id):
        address = deployment_address(live.deployment, live.node)
        if address.base and len(routes) == MOST_ROUTES:
            omissions.append(omitted(live.deployment, BEYOND))
        elif address.base:
            routes.append(Route(keys[live.deployment.id], live.deployment, address.base))
        else:
            omissions.append(omitted(live.deployment, address.fault or ""))
    return Routes(tuple(routes), tuple(omissions))


def routing_of(snapshot: Snapshot, model: Model, deployment: Deployment) -> Address:
    """Return the address at which gateways use this deployment, or why they do not."""
    provider = snapshot.providers.get(model.provider_id)
    if provider is None or not is_routed(provider):
        through = f"gateways ask another one, which asks it: its provider has route_by {provider and provider.route_by}"
        return Address(fault=through if is_through(provider) else "its provider is not routed by deployments")
    if left_out := why_left_out(model, provider):
        return Address(fault=f"its model is left out: {left_out}")
    node = node_of(snapshot, deployment)
    if deployment.status != "loaded":
        return Address(fault=f"it is {deployment.status}")
    if node is not None and node.status != "ready":
        return Address(fault=f"its node is {node.status}")
    if node is not None and node.cordoned:
        return Address(fault="its node is cordoned")
    return deployment_address(deployment, node)


def omitted(deployment: Deployment, reason: str) -> Omission:
    """Make the omission of a deployment, under the name to look it up by."""
    name = f"{deployment.node_id}/{deployment.provider_type}/{deployment.announced_model}"
    return Omission(DEPLOYMENT, name, reason)


def _keys(snapshot: Snapshot, offer: ProviderTable) -> dict[str, str]:
    """Return the key of each deployment of the model, live or not: stable while others come and go.

    If a node announced the model more than once, all but the first in the order of names get a longer key.
    """
    keys: dict[str, str] = {}
    nodes: set[str] = set()
    for deployment in snapshot.deployments.where("model", offer.model.id):
        key = f"{offer.key}@{deployment.node_id}"
        if deployment.node_id in nodes:
            key = f"{key}/{deployment.provider_type}/{deployment.announced_model}"
        nodes.add(deployment.node_id)
        keys[deployment.id] = key
    return keys
