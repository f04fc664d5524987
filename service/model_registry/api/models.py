"""`/api/models`: the catalogue."""

from __future__ import annotations

import time
from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import Field
from starlette.responses import Response

from model_registry.api.auth import Reader
from model_registry.api.parameters import Limit, ModelQuery, Offset
from model_registry.api.problems import responses
from model_registry.api.resource import FILTERED_MODELS, JOINED, add_row_routes, cut, listed, page
from model_registry.api.responses import answer
from model_registry.api.state import Service
from model_registry.catalog.live import live_deployments
from model_registry.catalog.lookup import find_model
from model_registry.catalog.model_filter import search_models
from model_registry.catalog.model_stats import ModelStats, model_stats
from model_registry.catalog.nouns import MODEL
from model_registry.catalog.views import DeploymentView, ModelView, deployment_view, model_view
from model_registry.store.json_bytes import json_bytes
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
    request: Request, service: Service, _caller: Reader, query: Annotated[ModelQuery, Query()]
) -> Response:
    """All models that pass the filters, in their stable order or sorted by any number."""
    snapshot = service.registry.snapshot
    found = search_models(snapshot, service.indexes.of(snapshot), query, query.sort)
    items = [model_view(snapshot, model) for model in cut(found, query.limit, query.offset)]
    return listed(request, snapshot, items, len(found), FILTERED_MODELS)


@router.get(
    "/stats",
    summary="The catalogue in numbers",
    operation_id="model_stats",
    responses={200: {"model": ModelStats}, **responses(401, 503)},
)
async def stats(request: Request, service: Service, _caller: Reader) -> Response:
    """How many models of what kind there are, and between what their prices and other numbers lie."""
    snapshot = service.registry.snapshot
    found = model_stats(snapshot, service.indexes.of(snapshot))
    return answer(request, snapshot, json_bytes(found), tables=JOINED["models"])


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
    items = []
    for deployment in cut(found, limit, offset):
        address = routing_of(snapshot, model, deployment)
        if address.base and deployment.id in held:
            address = Address(fault=held[deployment.id])
        items.append(deployment_view(snapshot, deployment) | {"base_url": address.base, "reason": address.fault})
    return listed(request, steady.snapshot, items, len(found), ("models", "model_providers", *sorted(FLEET_TABLES)))


add_row_routes(router, MODEL)
