"""Finds a model's live deployments, the node with the most free memory first. Making routes of them is in `gateways/`.

Uses only data from the change log. Heartbeats update the measured free memory without a change, so it may differ
between replicas; a node's total memory and the allocations of its live deployments do not.
"""

from __future__ import annotations

from dataclasses import dataclass

from model_registry.entities.deployment import LIVE_STATUSES, Deployment
from model_registry.entities.node import Node
from model_registry.entities.provider import Provider
from model_registry.entities.provider_types import PROVIDER_TYPES
from model_registry.snapshot.snapshot import Snapshot
from model_registry.snapshot.through_gateways import is_through

_ON_NODES = frozenset(name for name, kind in PROVIDER_TYPES.items() if kind.runs_on_nodes)


def is_routed(provider: Provider | None) -> bool:
    """Whether gateways use the nodes that have the provider's models loaded."""
    return provider is not None and provider.route_by == "deployments"


def runs_on_nodes(provider: Provider | None) -> bool:
    """Whether the provider's models are available only on nodes that have them loaded."""
    return provider is not None and (
        is_routed(provider) or is_through(provider) or (not provider.route_by and provider.type in _ON_NODES)
    )


def is_local(provider: Provider | None) -> bool:
    """Whether the provider's models run on servers of one's own."""
    return provider is not None and (is_routed(provider) or is_through(provider) or provider.type in _ON_NODES)


@dataclass(frozen=True, slots=True)
class Live:
    """A live deployment and its node."""

    deployment: Deployment
    node: Node | None
    """None: the node has not reported yet, which does not exclude the deployment."""


def node_of(snapshot: Snapshot, deployment: Deployment) -> Node | None:
    """Return a deployment's node, if it has reported."""
    return next(iter(snapshot.nodes.where("node_id", deployment.node_id)), None)


def is_live(deployment: Deployment, node: Node | None) -> bool:
    """Whether a deployment takes requests: loaded, on a node that is ready, uncordoned, or has not reported yet."""
    return deployment.status == "loaded" and (node is None or (node.status == "ready" and not node.cordoned))


def live_deployments(snapshot: Snapshot, model_id: str) -> list[Live]:
    """Return a model's loaded deployments on ready, uncordoned nodes; the most free memory first.

    Nodes with unknown memory come last.
    """
    ranked = []
    for deployment in snapshot.deployments.where("model", model_id):
        node = node_of(snapshot, deployment) if deployment.status == "loaded" else None
        if is_live(deployment, node):
            free = free_vram_mb(snapshot, node)
            ranked.append(((free is None, -(free or 0), deployment.node_id), Live(deployment, node)))
    ranked.sort(key=lambda pair: pair[0])  # stable: on one node by provider type and announced name
    return [live for _, live in ranked]


def free_vram_mb(snapshot: Snapshot, node: Node | None) -> int | None:
    """Return a node's total memory minus the allocations of its live deployments, in MiB; None if unknown."""
    if node is None or node.vram_total_mb is None:
        return None
    there = snapshot.deployments.where("node", node.node_id)
    return node.vram_total_mb - sum(d.vram_allocated_mb or 0 for d in there if d.status in LIVE_STATUSES)
