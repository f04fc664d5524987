"""Where a model can be asked now: its live deployments, the node with the most free memory first.

Only what the change log knows counts. Heartbeats move the measured free memory without being changes, so it would
differ between replicas; what a node has in total, and what its live deployments were given, does not.
"""

from __future__ import annotations

from model_registry.catalog.snapshot import Snapshot
from model_registry.entities.deployment import LIVE_STATUSES, Deployment
from model_registry.entities.node import Node
from model_registry.entities.provider import Provider

NODE_TYPES = frozenset({"ollama", "vllm", "sglang", "tgi"})
"""Provider types whose models run on nodes. `openai_compatible` may be anybody's, so it has to be said."""


def is_routed(provider: Provider | None) -> bool:
    """Whether gateways are to ask the nodes that have the provider's models loaded."""
    return provider is not None and provider.route_by == "deployments"


def runs_on_nodes(provider: Provider | None) -> bool:
    """Whether the provider's models answer only where a node has them loaded."""
    return provider is not None and (is_routed(provider) or (not provider.route_by and provider.type in NODE_TYPES))


def node_of(snapshot: Snapshot, deployment: Deployment) -> Node | None:
    """The node that a deployment is on, as far as it has spoken."""
    return next(iter(snapshot.nodes.where("node_id", deployment.node_id)), None)


def is_live(snapshot: Snapshot, deployment: Deployment) -> bool:
    """Whether it is loaded, on a node that is there and takes work."""
    node = node_of(snapshot, deployment)
    return deployment.status == "loaded" and (node is None or (node.status == "ready" and not node.cordoned))


def live_deployments(snapshot: Snapshot, model_id: str) -> list[Deployment]:
    """The live deployments of a model. A node that does not say how much memory it has comes last."""
    live = [d for d in snapshot.deployments.where("model", model_id) if is_live(snapshot, d)]
    free = {node_id: free_vram_mb(snapshot, node_id) for node_id in {d.node_id for d in live}}

    def order(deployment: Deployment) -> tuple[bool, int, str]:
        mb = free[deployment.node_id]
        return mb is None, -(mb or 0), deployment.node_id

    live.sort(key=order)  # stable: on one node by provider type and announced name
    return live


def free_vram_mb(snapshot: Snapshot, node_id: str) -> int | None:
    """What a node has in total less what its live deployments were given, in MiB; None when its total is not known."""
    node = next(iter(snapshot.nodes.where("node_id", node_id)), None)
    if node is None or node.vram_total_mb is None:
        return None
    there = snapshot.deployments.where("node", node_id)
    return node.vram_total_mb - sum(d.vram_allocated_mb or 0 for d in there if d.status in LIVE_STATUSES)
