"""The live deployments of a model as further providers of the gateway's model: their keys, addresses and reasons.

Which deployments are live, and in which order, is in `snapshot/live_deployments.py`; here is which of them a gateway
can use.
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
from model_registry.gateways.tensorzero.project import Table
from model_registry.gateways.tensorzero.rendering.provider_tables import ProviderTable, why_left_out
from model_registry.gateways.tensorzero.rendering.skipped import DEPLOYMENT, Omission
from model_registry.snapshot.live_deployments import is_routed, live_deployments, node_of
from model_registry.snapshot.snapshot import Snapshot

MOST_ROUTES = 100
"""Of one row. A gateway tries no more, and each is a table that every change of the model renders and checks again."""

BEYOND = f"the {MOST_ROUTES} that come first are asked, and no more"

_LONGEST = 2000
"""As long as an `api_base` may be."""
_ADDED = ("/chat/completions", "/messages")
"""What gateways add to a base URL themselves: a URL that ends so is one of a single route, not of a server."""


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
        """The offer's own table, but at this address, and asked for the name that was announced there."""
        named = {"model_name": self.deployment.announced_model} if "model_name" in own else {}
        return own | {"api_base": self.base} | named


@dataclass(frozen=True, slots=True)
class Routes:
    """The routes of one offer, best first, and the live deployments that are none."""

    routes: tuple[Route, ...] = ()
    omissions: tuple[Omission, ...] = ()


def routing_fault(provider: Provider) -> str | None:
    """Why this provider cannot be routed by deployments, or None."""
    kind = PROVIDER_TYPES.get(provider.type)
    if not is_routed(provider) or kind is None or kind.routable:
        return None
    able = ", ".join(sorted(name for name, other in PROVIDER_TYPES.items() if other.routable))
    return f"deployments needs a type whose servers are told apart by an api_base: one of {able}"


def routes_of(snapshot: Snapshot, offer: ProviderTable) -> Routes:
    """Where gateways are to ask for this model before its provider's own address; nowhere, unless it is routed so."""
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
    """Where a deployment's server is: at its own endpoint, else at its node's."""
    return _address(deployment.endpoint or (node.endpoint if node else None))


@lru_cache(maxsize=4096)
def _address(endpoint: str | None) -> Address:
    """The endpoint as a base URL. Without a path it gets `/v1`.

    Ollama announces `http://host:11434`, and the OpenAI protocol of every server we route to lives under `/v1`.
    """
    if not endpoint:
        return Address(fault="neither it nor its node says where it can be reached: it has no endpoint")
    if len(endpoint) > _LONGEST:
        return Address(fault=f"its endpoint is longer than {_LONGEST} characters")
    if problem := http_url_problem(endpoint):
        return Address(fault=f"its endpoint {problem}")
    if added := next((added for added in _ADDED if endpoint.rstrip("/").endswith(added)), None):
        return Address(fault=f"its endpoint ends in {added}, which the gateway adds itself")
    parts = urlsplit(endpoint)
    bare = parts.path in {"", "/"} and not parts.query and not parts.fragment
    return Address(parts._replace(path="/v1").geturl() if bare else endpoint)


def routing_of(snapshot: Snapshot, model: Model, deployment: Deployment) -> Address:
    """Where gateways ask this deployment of a model, or why they do not."""
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
    """A deployment that gets no calls, by the name it can be looked up with."""
    name = f"{deployment.node_id}/{deployment.provider_type}/{deployment.announced_model}"
    return Omission(DEPLOYMENT, name, reason)


def _keys(snapshot: Snapshot, offer: ProviderTable) -> dict[str, str]:
    """The key of each deployment of the model, live or not: it stays the same while others come and go.

    A node that has announced the model more than once has a longer key for those later in the order of names.
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
