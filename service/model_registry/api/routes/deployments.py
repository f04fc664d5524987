"""`/api/deployments`: models loaded on GPU nodes, as the nodes report them; `/api/events`: rejected reports."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel
from starlette.responses import Response

from model_registry.api.app_state import AppState, CurrentApp
from model_registry.api.auth import NEEDS_KEY, KeyHolder, NodeReporter, Reader
from model_registry.api.cached_responses import NOT_KEPT, cached_response, json_response, row_response
from model_registry.api.caller import Caller
from model_registry.api.edits import plan_with_refresh
from model_registry.api.error_handlers import invalid_as
from model_registry.api.guarded_route import GuardedRoute
from model_registry.api.problems import responses
from model_registry.api.resource import Limit, Offset, large_list_response, list_response, page, paginate
from model_registry.catalog.views import DeploymentView, deployment_view
from model_registry.entities.deployment import DeploymentEvent
from model_registry.entities.node import mask_event
from model_registry.entities.secret_values import masked_value
from model_registry.errors import InvalidEvent
from model_registry.fleet.reports import DeploymentReport, StatusReport
from model_registry.fleet.views import NodeView, node_views
from model_registry.selection.list_filters import search_deployments
from model_registry.snapshot.lookup import find_deployment
from model_registry.store.json_bytes import json_bytes

deployments = APIRouter(prefix="/api/deployments", tags=["deployments"], route_class=GuardedRoute)
events = APIRouter(prefix="/api/events", tags=["deployments"], route_class=GuardedRoute)
ROUTERS = (deployments, events)

_TABLES = ("model_deployments", "models", "model_providers", "gpu_nodes")
_SHAPE = {"model": DeploymentView}
_REPORT: dict[str, Any] = {
    "status_code": 201,
    "responses": {201: _SHAPE, 200: _SHAPE, **responses(401, 403, 404, 409, 422, 503)},
}


@deployments.get(
    "",
    summary="List deployments, ordered by node",
    operation_id="list_deployments",
    responses={200: {"model": page("DeploymentList", DeploymentView)}, **responses(401, 422, 429, 503)},
)
async def list_deployments(
    request: Request,
    state: CurrentApp,
    _caller: Reader,
    node_id: Annotated[
        str | None, Query(description="Only deployments on this node (exact name).", examples=["gpu-node-1"])
    ] = None,
    status: Annotated[str | None, Query(description="Only deployments with this status.", examples=["loaded"])] = None,
    provider_type: Annotated[
        str | None, Query(description="Only deployments at servers of this type.", examples=["ollama"])
    ] = None,
    model: Annotated[
        str | None, Query(description="Only deployments of this model: id, name, or announced name.")
    ] = None,
    limit: Limit = None,
    offset: Offset = 0,
) -> Response:
    """All deployments that match the filters."""
    snapshot = state.registry.snapshot
    found = search_deployments(snapshot, node_id=node_id, provider_type=provider_type, status=status, model=model)
    part = paginate(found, limit, offset)
    tables = (*_TABLES, "model_aliases")
    return await large_list_response(request, snapshot, part, partial(deployment_view, snapshot), len(found), tables)


@deployments.get(
    "/nodes",
    summary="List deployments grouped by node",
    operation_id="list_deployments_by_node",
    responses={200: {"model": page("NodeList", NodeView)}, **responses(401, 503)},
)
async def list_nodes(request: Request, state: CurrentApp, _caller: Reader) -> Response:
    """One row per node, ordered by name, with the memory that its live deployments use."""
    snapshot = state.registry.snapshot
    items = node_views(snapshot)
    return list_response(request, snapshot, items, len(items), _TABLES)


@deployments.get(
    "/{reference:path}",
    summary="Get a deployment by id or node/provider_type/model",
    operation_id="get_deployment",
    responses={200: _SHAPE, **responses(401, 404, 503)},
)
async def get_deployment(request: Request, reference: str, state: CurrentApp, _caller: Reader) -> Response:
    """The deployment as last reported by its node."""
    snapshot = state.registry.snapshot
    body = json_bytes(deployment_view(snapshot, find_deployment(snapshot, reference)))
    return cached_response(request, snapshot, body, tables=_TABLES)


@deployments.post("", summary="Report a deployment", operation_id="create_deployment", **_REPORT)
@deployments.post(
    "/register",
    summary="Report a deployment (same as POST /api/deployments)",
    operation_id="register_deployment",
    **_REPORT,
)
@invalid_as(InvalidEvent)
async def report_deployment(body: DeploymentReport, state: CurrentApp, caller: NodeReporter) -> Response:
    """Returns 201 for a new deployment, 200 for a known one. A report older than the last is ignored."""
    now = datetime.now(UTC)
    event = await plan_with_refresh(state, lambda s: body.event(s, now))
    return await _record(state, event, caller)


@deployments.put(
    "/{reference:path}/status",
    summary="Report a change of a deployment's status",
    operation_id="set_deployment_status",
    responses={200: _SHAPE, **responses(401, 403, 404, 422, 503)},
)
@invalid_as(InvalidEvent)
async def set_status(reference: str, body: StatusReport, state: CurrentApp, caller: NodeReporter) -> Response:
    """Equivalent to a new report of the same deployment."""
    now = datetime.now(UTC)
    event = await plan_with_refresh(state, lambda s: body.event(find_deployment(s, reference), now))
    return await _record(state, event, caller)


async def _record(state: AppState, event: DeploymentEvent, caller: Caller) -> Response:
    masked = mask_event(event)  # before its text is used to look anything up
    if masked:
        state.metrics.masked("events", masked)
    key = event.key
    known = bool(state.registry.snapshot.deployments.where("key", key))
    await state.registry.record([event], actor=caller.name)
    snapshot = state.registry.snapshot
    row = snapshot.deployments.where("key", key)[0]
    status = 200 if known else 201
    return row_response(deployment_view(snapshot, row), status, {"Location": f"/api/deployments/{row.id}"})


class RejectedEventView(BaseModel):
    """A message that was rejected."""

    id: int
    received_at: str
    subject: str
    reason: str
    payload: str
    """The first 2 KiB of the message, as text."""


class RejectedEventList(BaseModel):
    """A page of rejected messages."""

    items: list[RejectedEventView]
    count: int


@events.get(
    "/rejected",
    summary="List rejected messages of GPU nodes, newest first",
    operation_id="list_rejected_events",
    openapi_extra=NEEDS_KEY,
    responses={200: {"model": RejectedEventList}, **responses(401, 403, 422, 503)},
)
async def list_rejected_events(
    state: CurrentApp,
    _caller: KeyHolder,
    limit: Annotated[int, Query(ge=1, le=1000, description="Maximum number of messages.")] = 100,
    offset: Offset = 0,
) -> Response:
    """Rejected by any replica. The newest 1,000 are kept; each is also published on `mesh.gpu.rejected.v1`."""
    rejected = await state.history.rejected_events(limit=limit, offset=offset)
    rejected, _ = masked_value(rejected)  # what was kept before it was masked, or written by others
    return json_response(rejected, headers=NOT_KEPT)
