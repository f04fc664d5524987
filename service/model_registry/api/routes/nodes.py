"""`/api/nodes`: the machines that run models, their status and free memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel
from starlette.responses import Response

from model_registry.api.app_state import AppState, CurrentApp
from model_registry.api.auth import Administrator, Reader
from model_registry.api.cached_responses import NOT_KEPT, expect_etag, json_response
from model_registry.api.edits import guarded, write
from model_registry.api.guarded_route import GuardedRoute
from model_registry.api.problems import responses
from model_registry.api.resource import Limit, Offset, paginate
from model_registry.entities.change import Operation
from model_registry.entities.node import Node, NodeDraft
from model_registry.errors import Invalid, Reason
from model_registry.fleet.views import FleetNodeView, check_labels, find_node, node_view, search_nodes
from model_registry.snapshot.snapshot import Snapshot
from model_registry.store.fleet_records import Pulse

router = APIRouter(prefix="/api/nodes", tags=["nodes"], route_class=GuardedRoute)

_SHAPE: Any = {"model": FleetNodeView}
Labels = Annotated[
    list[str] | None, Query(description="`key` or `key=value`. Repeatable: all must match.", examples=["zone=cellar"])
]


class MassLoss(BaseModel):
    """A loss of most of the fleet at once, of which most nodes are not back."""

    at: str
    nodes: int
    of: int


class Forgotten(BaseModel):
    """The deleted nodes and deployments."""

    nodes: int
    deployments: int


class FleetNodeList(BaseModel):
    """Nodes, and how current the information about them is."""

    items: list[FleetNodeView]
    count: int
    heard_through: str | None
    """All messages of nodes up to this time are recorded."""
    suspected_since: str | None
    """Start of the current silence of most nodes; they are lost if it lasts."""
    mass_loss: MassLoss | None


@router.get(
    "",
    summary="List GPU nodes with their deployments and free memory",
    operation_id="list_nodes",
    responses={200: {"model": FleetNodeList}, **responses(401, 422, 503)},
)
async def list_nodes(
    state: CurrentApp,
    _caller: Reader,
    status: Annotated[str | None, Query(description="`ready` or `lost`.", examples=["ready"])] = None,
    label: Labels = None,
    limit: Limit = None,
    offset: Offset = 0,
) -> Response:
    """Nodes that match the filters, ordered by name. `last_seen_at` and free memory are at most a few seconds old."""
    snapshot = state.registry.snapshot
    check_labels(snapshot, label or ())
    found = search_nodes(snapshot, status=status, labels=label or ())
    pulse = await state.heartbeats.now()
    items = [_view(snapshot, node, pulse) for node in paginate(found, limit, offset)]
    return json_response({"items": items, "count": len(found), **_progress(pulse)}, headers=NOT_KEPT)


@router.get(
    "/{reference:path}",
    summary="Get a GPU node by id or name",
    operation_id="get_node",
    responses={200: _SHAPE, **responses(401, 404, 503)},
)
async def get_node(reference: str, state: CurrentApp, _caller: Reader) -> Response:
    """The ETag is for `If-Match`: it changes with the node's settings, not with every heartbeat."""
    return await _answer(state, reference)


@router.put(
    "/{reference:path}",
    summary="Set a node's endpoint, labels and cordon",
    operation_id="replace_node",
    responses={200: _SHAPE, **responses(401, 403, 404, 412, 422, 503)},
)
async def replace_node(
    request: Request, reference: str, body: NodeDraft, state: CurrentApp, caller: Administrator
) -> Response:
    """Omitted fields are reset: to the endpoint announced by the node, no labels, not cordoned."""

    def edit(snapshot: Snapshot) -> Sequence[Operation]:
        node = _expected(request, snapshot, reference)
        columns = body.model_dump() | {"endpoint": body.endpoint or node.announced_endpoint}
        return [guarded(request, Operation("gpu_nodes", "update", node.id, columns, node.version))]

    (operation,) = await write(state, edit, caller)
    return await _answer(state, operation.id)


@router.delete(
    "",
    summary="Delete all nodes that match a filter, with their deployments",
    operation_id="delete_nodes",
    responses={200: {"model": Forgotten}, **responses(401, 403, 412, 422, 503)},
)
async def delete_nodes(
    state: CurrentApp,
    caller: Administrator,
    status: Annotated[str | None, Query(description="`ready` or `lost`.", examples=["lost"])] = None,
    label: Labels = None,
) -> Response:
    """At least one filter is required. One transaction; a node that sends a message meanwhile is kept.

    A label that no node has deletes nothing: the same request may be sent again.
    """
    if status is None and not label:
        message = "A filter is required, ?status=lost or ?label=key=value, so that no accident deletes the whole fleet."
        raise Invalid(message, reasons=[Reason("status", message)])
    await state.registry.refresh()
    found = search_nodes(state.registry.snapshot, status=status, labels=label or ())
    nodes, deployments = await state.registry.forget(found, actor=caller.name) if found else (0, 0)
    return json_response({"nodes": nodes, "deployments": deployments})


@router.delete(
    "/{reference:path}",
    status_code=204,
    summary="Delete a node and its deployments",
    operation_id="delete_node",
    responses=responses(401, 403, 404, 412, 503),
)
async def delete_node(request: Request, reference: str, state: CurrentApp, caller: Administrator) -> Response:
    """For a node that is gone for good. Its next message creates it again."""
    await write(state, lambda s: _forgetting(request, s, _expected(request, s, reference)), caller)
    return Response(status_code=204)


def _forgetting(request: Request, snapshot: Snapshot, node: Node) -> list[Operation]:
    deployments = snapshot.deployments.where("node", node.node_id)
    return [
        *(Operation("model_deployments", "delete", deployment.id) for deployment in deployments),
        guarded(request, Operation("gpu_nodes", "delete", node.id, version=node.version)),
    ]


def _expected(request: Request, snapshot: Snapshot, reference: str) -> Node:
    """The node, checked against `If-Match`."""
    node = find_node(snapshot, reference)
    expect_etag(request, _etag(node))
    return node


def _view(snapshot: Snapshot, node: Node, pulse: Pulse) -> dict[str, Any]:
    return node_view(snapshot, node, pulse.nodes.get(node.node_id, {}))


def _progress(pulse: Pulse) -> dict[str, Any]:
    fleet = pulse.fleet
    lost_at = fleet.get("mass_lost_at")
    return {
        "heard_through": fleet.get("heard_through"),
        "suspected_since": fleet.get("suspected_since"),
        "mass_loss": {"at": lost_at, "nodes": fleet["mass_lost"], "of": fleet["mass_of"]} if lost_at else None,
    }


async def _answer(state: AppState, reference: str) -> Response:
    snapshot = state.registry.snapshot
    node = find_node(snapshot, reference)
    view = _view(snapshot, node, await state.heartbeats.now())
    return json_response(view, headers={**NOT_KEPT, "ETag": f"W/{_etag(node)}"})


def _etag(node: Node) -> str:
    # The time too: after a backup was restored, a version is given again.
    return f'"{node.id}-{node.version}-{node.updated_at}"'
