"""GPU nodes as callers see them, and finding them. Pure: how they are at this moment comes in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from model_registry.catalog.views import DeploymentView, View, deployment_view
from model_registry.entities.deployment import LIVE_STATUSES
from model_registry.entities.node import NODE_STATUSES, Node
from model_registry.errors import NotFound
from model_registry.selection.filter_values import known
from model_registry.snapshot.lookup import as_uuid
from model_registry.snapshot.snapshot import Snapshot


class Gpu(BaseModel):
    """A GPU of a node."""

    index: int | None
    name: str | None
    vram_total_mb: int | None


class NodeView(BaseModel):
    """The shape of `node_views`' rows: what any node has that has announced a model. Memory is in MiB."""

    node_id: str
    endpoint: str | None
    vram_allocated_mb: int
    loaded: int
    deployments: list[DeploymentView]


class FleetNodeView(NodeView):
    """The shape of `node_view`: the same of a node that has a row."""

    id: str
    status: str
    cordoned: bool
    labels: dict[str, Any]
    announced_endpoint: str | None
    gpus: list[Gpu]
    vram_total_mb: int | None
    vram_used_mb: int | None
    vram_free_mb: int | None
    last_seen_at: str | None
    lost_at: str | None
    metadata: dict[str, Any]
    version: int
    created_at: str
    updated_at: str


def find_node(snapshot: Snapshot, reference: str) -> Node:
    """By id or node_id. Errors: NotFound."""
    named = snapshot.nodes.where("node_id", reference)
    node = named[0] if named else snapshot.nodes.get(as_uuid(reference))
    if node is None:
        message = f"There is no node {reference!r}: no message from a node of that name has arrived."
        raise NotFound(message)
    return node


def search_nodes(snapshot: Snapshot, *, status: str | None = None, labels: Sequence[str] = ()) -> list[Node]:
    """Nodes that pass every filter, by name. A label is `key` or `key=value`. Errors: Invalid."""
    if status is not None:
        known("status", status, NODE_STATUSES)
    check_labels(snapshot, [label for label in labels if not label])
    return [
        node
        for node in snapshot.nodes
        if status in (None, node.status) and all(_has_label(node, label) for label in labels)
    ]


def check_labels(snapshot: Snapshot, labels: Sequence[str]) -> None:
    """Refuse labels that no node has. Errors: Invalid."""
    pairs = [(key, f"{key}={text}") for node in snapshot.nodes for key, text in node.labels.items()]
    for label in labels:
        known("label", label, {pair["=" in label] for pair in pairs})


def node_view(snapshot: Snapshot, node: Node, pulse: Mapping[str, Any]) -> View:
    """A node with its deployments. `pulse` has what moves: last_seen_at, vram_used_mb, vram_free_mb."""
    view = _loaded_view(snapshot, node.node_id)
    free = pulse.get("vram_free_mb", node.vram_free_mb)
    if free is None and node.vram_total_mb is not None:
        free = max(0, node.vram_total_mb - view["vram_allocated_mb"])
    return view | {
        "id": node.id,
        "status": node.status,
        "cordoned": node.cordoned,
        "labels": node.labels,
        "announced_endpoint": node.announced_endpoint,
        "gpus": node.metadata.get("gpus", []),
        "vram_total_mb": node.vram_total_mb,
        "vram_used_mb": pulse.get("vram_used_mb", node.vram_used_mb),
        "vram_free_mb": free,
        "last_seen_at": pulse.get("last_seen_at", node.last_seen_at),
        "lost_at": node.lost_at,
        "metadata": {key: value for key, value in node.metadata.items() if key != "gpus"},
        "version": node.version,
        "created_at": node.created_at,
        "updated_at": node.updated_at,
    }


def node_views(snapshot: Snapshot) -> list[View]:
    """One row per node, also of those that only announced models, by name."""
    names = {node.node_id for node in snapshot.nodes} | {str(name) for name in snapshot.deployments.keys("node")}
    return [_loaded_view(snapshot, name) for name in sorted(names)]


def _loaded_view(snapshot: Snapshot, name: str) -> View:
    """What is loaded on a node; the memory that its live deployments take is summed."""
    node = next(iter(snapshot.nodes.where("node_id", name)), None)
    deployments = snapshot.deployments.where("node", name)
    return {
        "node_id": name,
        "endpoint": node.endpoint if node else None,
        "vram_allocated_mb": sum(d.vram_allocated_mb or 0 for d in deployments if d.status in LIVE_STATUSES),
        "loaded": sum(d.status == "loaded" for d in deployments),
        "deployments": [deployment_view(snapshot, d) for d in deployments],
    }


def _has_label(node: Node, label: str) -> bool:
    key, equals, value = label.partition("=")
    return key in node.labels and (not equals or node.labels[key] == value)
