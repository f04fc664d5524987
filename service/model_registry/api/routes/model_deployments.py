"""`/api/models/{id}/deployments`: the deployments of a model, and whether gateways route to them."""

from __future__ import annotations

import time

from fastapi import APIRouter, Request
from pydantic import Field
from starlette.responses import Response

from model_registry.api.app_state import CurrentApp
from model_registry.api.auth import Reader
from model_registry.api.guarded_route import GuardedRoute
from model_registry.api.parameters import Limit, Offset
from model_registry.api.problems import responses
from model_registry.api.resource import list_response, page, paginate
from model_registry.catalog.views import DeploymentView, deployment_view
from model_registry.gateways.tensorzero.rendering.render import FLEET_TABLES
from model_registry.gateways.tensorzero.rendering.routes import BEYOND, MOST_ROUTES, Address, routing_of
from model_registry.snapshot.live_deployments import live_deployments
from model_registry.snapshot.lookup import find_model

router = APIRouter(prefix="/api/models", tags=["models"], route_class=GuardedRoute)


class ModelDeploymentView(DeploymentView):
    """A deployment of a model, and whether gateways route to it."""

    base_url: str | None = Field(description="URL that gateways route to; null when they do not.")
    reason: str | None = Field(description="Why gateways do not route to it.")


@router.get(
    "/{reference:path}/deployments",
    summary="List the deployments of a model, with routes",
    operation_id="list_model_deployments",
    responses={200: {"model": page("ModelDeploymentList", ModelDeploymentView)}, **responses(401, 404, 409, 422, 503)},
)
async def list_model_deployments(
    request: Request, reference: str, state: CurrentApp, _caller: Reader, limit: Limit = None, offset: Offset = 0
) -> Response:
    """Live deployments in routing order, then the others, ordered by node."""
    snapshot = state.registry.snapshot
    model = find_model(snapshot, reference)
    damped = state.renderer.damped(snapshot, time.time())
    held = {held.deployment.id: held.reason for held in damped.held}
    live = [found.deployment.id for found in live_deployments(damped.snapshot, model.id)]
    asked = [row_id for row_id in live if routing_of(snapshot, model, snapshot.deployments[row_id]).base][:MOST_ROUTES]
    known = {deployment.id: deployment for deployment in snapshot.deployments.where("model", model.id)}
    found = [known[row_id] for row_id in dict.fromkeys([*live, *known])]
    items = []
    for deployment in paginate(found, limit, offset):
        address = routing_of(snapshot, model, deployment)
        if address.base and deployment.id in held:
            address = Address(fault=held[deployment.id])
        elif address.base and deployment.id not in asked:
            address = Address(fault=BEYOND)
        items.append(deployment_view(snapshot, deployment) | {"base_url": address.base, "reason": address.fault})
    return list_response(
        request, damped.snapshot, items, len(found), ("models", "model_providers", *sorted(FLEET_TABLES))
    )
