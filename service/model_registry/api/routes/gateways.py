"""`/api/gateways`: the programs that take requests for models, and what each carries."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from model_registry.api.app_state import CurrentApp
from model_registry.api.auth import Reader
from model_registry.api.guarded_route import GuardedRoute
from model_registry.api.problems import responses
from model_registry.api.resource import Limit, Offset, add_row_routes, page, rows
from model_registry.catalog.resources import GATEWAY
from model_registry.entities.gateway import Gateway

router = APIRouter(prefix="/api/gateways", tags=["gateways"], route_class=GuardedRoute)


@router.get(
    "",
    summary="List gateways, ordered by name",
    operation_id="list_gateways",
    responses={200: {"model": page("GatewayList", Gateway)}, **responses(401, 422, 429, 503)},
)
async def list_gateways(
    request: Request, state: CurrentApp, _caller: Reader, limit: Limit = None, offset: Offset = 0
) -> Response:
    """All gateways."""
    snapshot = state.registry.snapshot
    return await rows(request, snapshot, GATEWAY, list(snapshot.gateways), limit, offset)


add_row_routes(router, GATEWAY)
