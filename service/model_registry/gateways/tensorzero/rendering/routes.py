"""Turns a model's live deployments into further providers of the gateway's model, or into omissions with reasons.

Selecting and ordering live deployments is in `snapshot/live_deployments.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import urlsplit

from model_registry.entities.deployment import Deployment
from model_registry.entities.model import Model
from model_registry.entities.node import Node
from model_registry.entities.provider import Provider, http_url_problem
from model_registry.entities.provider_types import PROVIDER_TYPES
from model_registry.entities.server_address import is_unspecified, ollama_base, with_host_of
from model_registry.gateways.tensorzero.project import Table
from model_registry.gateways.tensorzero.rendering.provider_tables import (
    DEPLOYMENT,
    Omission,
    ProviderTable,
    why_left_out,
)
from model_registry.loopback import is_loopback
from model_registry.snapshot.live_deployments import is_routed, live_deployments, node_of
from model_registry.snapshot.snapshot import Snapshot

MOST_ROUTES = 100
"""Routes per row, at most. Every change of the model renders and checks each route's table again."""

BEYOND = f"the {MOST_ROUTES} that come first are asked, and no more"

_LONGEST = 2000
"""The limit of `api_base`."""
_ADDED = ("/chat/completions", "/messages")
"""Paths that gateways add to a base URL: a URL with such an ending is an endpoint, not a base."""


@dataclass(frozen=True, slots=True)
class Address:
    """A base URL, or why there is none."""

    base: str | None = None
    fault: str | None = None


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
        address = address_of(live.deployment, live.node)
        if address.base and len(routes) == MOST_ROUTES:
            omissions.append(omitted(live.deployment, BEYOND))
        elif address.base:
            routes.append(Route(keys[live.deployment.id], live.deployment, address.base))
        else:
            omissions.append(omitted(live.deployment, address.fault or ""))
    return Routes(tuple(routes), tuple(omissions))


def address_of(deployment: Deployment, node: Node | None) -> Address:
    """Return the address of a deployment's server: its own endpoint, a loopback at its node; else its node's."""
    there = node.endpoint if node else None
    endpoint = deployment.endpoint or there
    if deployment.endpoint and there and is_loopback(deployment.endpoint) and not is_loopback(there):
        # A gateway would ask itself.
        endpoint = with_host_of(deployment.endpoint, there)
    of_ollama = deployment.provider_type.lower() == "ollama"
    return _address(ollama_base(endpoint) if endpoint and of_ollama else endpoint)


@lru_cache(maxsize=4096)
def _address(endpoint: str | None) -> Address:
    """Make a base URL of an endpoint, with `/v1` when it has no path.

    Ollama announces `http://host:11434`; all servers we route to have the OpenAI protocol under `/v1`.
    """
    if not endpoint:
        return Address(fault="it has no endpoint, and neither has its node")
    if len(endpoint) > _LONGEST:
        return Address(fault=f"its endpoint is longer than {_LONGEST} characters")
    if problem := http_url_problem(endpoint):
        return Address(fault=f"its endpoint {problem}")
    if is_unspecified(endpoint):
        return Address(fault=f"its endpoint {endpoint} is every address of its own machine: announce the node's name")
    if added := next((added for added in _ADDED if endpoint.rstrip("/").endswith(added)), None):
        return Address(fault=f"its endpoint ends in {added}, which the gateway adds itself")
    parts = urlsplit(endpoint)
    bare = parts.path in {"", "/"} and not parts.query and not parts.fragment
    return Address(parts._replace(path="/v1").geturl() if bare else endpoint)


def routing_of(snapshot: Snapshot, model: Model, deployment: Deployment) -> Address:
    """Return the address at which gateways use this deployment, or why they do not."""
    provider = snapshot.providers.get(model.provider_id)
    if provider is None or not is_routed(provider):
        return Address(fault="its provider is not routed by deployments")
    if left_out := why_left_out(model, provider):
        return Address(fault=f"its model is left out: {left_out}")
    node = node_of(snapshot, deployment)
    if deployment.status != "loaded":
        return Address(fault=f"it is {deployment.status}")
    if node is not None and node.status != "ready":
        return Address(fault=f"its node is {node.status}")
    if node is not None and node.cordoned:
        return Address(fault="its node is cordoned")
    return address_of(deployment, node)


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
