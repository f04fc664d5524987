"""`/api/model-services`: kinds of model services, and how requests are divided among the instances of each."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from model_registry.api.app_state import CurrentApp
from model_registry.api.auth import Reader
from model_registry.api.guarded_route import GuardedRoute
from model_registry.api.problems import responses
from model_registry.api.resource import Limit, Offset, add_row_routes, page, rows
from model_registry.catalog.resources import MODEL_SERVICE
from model_registry.entities.model_service import ModelService

router = APIRouter(prefix="/api/model-services", tags=["model services"], route_class=GuardedRoute)


@router.get(
    "",
    summary="List model services, ordered by model type",
    operation_id="list_model_services",
    responses={200: {"model": page("ModelServiceList", ModelService)}, **responses(401, 422, 429, 503)},
)
async def list_model_services(
    request: Request, state: CurrentApp, _caller: Reader, limit: Limit = None, offset: Offset = 0
) -> Response:
    """All model services."""
    snapshot = state.registry.snapshot
    return await rows(request, snapshot, MODEL_SERVICE, list(snapshot.model_services), limit, offset)


add_row_routes(router, MODEL_SERVICE)
