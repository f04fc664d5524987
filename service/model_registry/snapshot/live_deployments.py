"""Where a model can be asked now: its live deployments, the node with the most free memory first.

Only what the change log knows counts. Heartbeats move the measured free memory without being changes, so it would
differ between replicas; what a node has in total, and what its live deployments were given, does not.
"""

from __future__ import annotations

from dataclasses import dataclass

from model_registry.entities.deployment import LIVE_STATUSES, Deployment
from model_registry.entities.node import Node
from model_registry.entities.provider import Provider
from model_registry.entities.provider_types import PROVIDER_TYPES
from model_registry.snapshot.snapshot import Snapshot

_ON_NODES = frozenset(name for name, kind in PROVIDER_TYPES.items() if kind.runs_on_nodes)


def is_routed(provider: Provider | None) -> bool:
    """Whether gateways are to ask the nodes that have the provider's models loaded."""
    return provider is not None and provider.route_by == "deployments"


def runs_on_nodes(provider: Provider | None) -> bool:
    """Whether the provider's models answer only where a node has them loaded."""
    return provider is not None and (is_routed(provider) or (not provider.route_by and provider.type in _ON_NODES))


@dataclass(frozen=True, slots=True)
class Live:
    """A deployment that can be asked."""

    deployment: Deployment
    node: Node | None
    """None: it has not been heard of, which speaks against nothing."""


def node_of(snapshot: Snapshot, deployment: Deployment) -> Node | None:
    """The node that a deployment is on, as far as it has spoken."""
    return next(iter(snapshot.nodes.where("node_id", deployment.node_id)), None)


def live_deployments(snapshot: Snapshot, model_id: str) -> list[Live]:
    """The deployments of a model that are loaded, on nodes that are there and take work; the most free memory first.

    A node that does not say how much memory it has comes last.
    """
    found = []
    for deployment in snapshot.deployments.where("model", model_id):
        node = node_of(snapshot, deployment) if deployment.status == "loaded" else None
        if deployment.status == "loaded" and (node is None or (node.status == "ready" and not node.cordoned)):
            free = free_vram_mb(snapshot, node)
            found.append(((free is None, -(free or 0), deployment.node_id), Live(deployment, node)))
    found.sort(key=lambda pair: pair[0])  # stable: on one node by provider type and announced name
    return [live for _, live in found]


def free_vram_mb(snapshot: Snapshot, node: Node | None) -> int | None:
    """What a node has in total less what its live deployments were given, in MiB; None when its total is not known."""
    if node is None or node.vram_total_mb is None:
        return None
    there = snapshot.deployments.where("node", node.node_id)
    return node.vram_total_mb - sum(d.vram_allocated_mb or 0 for d in there if d.status in LIVE_STATUSES)
