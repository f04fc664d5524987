"""`/api/models`: the catalogue."""

from __future__ import annotations

import time
from typing import Annotated

from fastapi import APIRouter, HTTPException, Query, Request
from pydantic import Field
from starlette.responses import Response

from model_registry.api.auth import Administrator, Reader
from model_registry.api.parameters import Limit, Offset
from model_registry.api.problems import responses
from model_registry.api.resource import add_row_routes, listed, page, rows
from model_registry.api.state import Service
from model_registry.catalog.live import live_deployments
from model_registry.catalog.lookup import find_model
from model_registry.catalog.nouns import MODEL
from model_registry.catalog.search import search_models
from model_registry.catalog.views import DeploymentView, ModelView, deployment_view
from model_registry.tensorzero.affected import FLEET_TABLES
from model_registry.tensorzero.routes import Address, routing_of

router = APIRouter(prefix="/api/models", tags=["models"])


@router.get(
    "",
    summary="Models, by name, then in routing order",
    operation_id="list_models",
    responses={200: {"model": page("ModelList", ModelView)}, **responses(401, 422, 503)},
)
async def list_models(
    request: Request,
    service: Service,
    _caller: Reader,
    model_type: Annotated[
        str | None, Query(description="A model type, or a synonym: llm, vision.", examples=["chat"])
    ] = None,
    provider: Annotated[str | None, Query(description="A provider's name, id or type.", examples=["openai"])] = None,
    capability: Annotated[list[str] | None, Query(description="Repeatable: all must hold.")] = None,
    name: Annotated[str | None, Query(description="The model key: every provider's row of it.")] = None,
    active: bool | None = None,
    limit: Limit = None,
    offset: Offset = 0,
) -> Response:
    """All models that pass the filters."""
    snapshot = service.registry.snapshot
    found = search_models(
        snapshot, model_type=model_type, provider=provider, capabilities=capability or (), name=name, active=active
    )
    return rows(request, snapshot, MODEL, found, limit, offset)


class ModelDeploymentView(DeploymentView):
    """A deployment of a model, and whether gateways ask it."""

    base_url: str | None = Field(description="Where gateways ask it; null when they do not.")
    reason: str | None = Field(description="Why gateways do not ask it.")


@router.get(
    "/{reference:path}/deployments",
    summary="Where a model is deployed, and whether gateways ask it there",
    operation_id="list_model_deployments",
    responses={200: {"model": page("ModelDeploymentList", ModelDeploymentView)}, **responses(401, 404, 409, 422, 503)},
)
async def list_model_deployments(
    request: Request, reference: str, service: Service, _caller: Reader, limit: Limit = None, offset: Offset = 0
) -> Response:
    """The live ones in the order in which gateways ask them, then the others, by node."""
    snapshot = service.registry.snapshot
    model = find_model(snapshot, reference)
    steady = service.configuration.steady(snapshot, time.time())
    held = {held.deployment.id: held.reason for held in steady.held}
    live = [found.deployment.id for found in live_deployments(steady.snapshot, model.id)]
    known = {deployment.id: deployment for deployment in snapshot.deployments.where("model", model.id)}
    found = [known[row_id] for row_id in dict.fromkeys([*live, *known])]
    part = found[offset:] if limit is None else found[offset : offset + limit]
    items = []
    for deployment in part:
        address = routing_of(snapshot, model, deployment)
        if address.base and deployment.id in held:
            address = Address(fault=held[deployment.id])
        items.append(deployment_view(snapshot, deployment) | {"base_url": address.base, "reason": address.fault})
    return listed(request, steady.snapshot, items, len(found), ("models", "model_providers", *sorted(FLEET_TABLES)))


@router.api_route("/{reference:path}/deployments", methods=["PUT", "PATCH", "DELETE"], include_in_schema=False)
async def refuse_to_edit_deployments(_caller: Administrator) -> None:
    """Or it would be taken for a model whose name ends so, which has to be edited by its id."""
    raise HTTPException(405, headers={"Allow": "GET"})


add_row_routes(router, MODEL)
