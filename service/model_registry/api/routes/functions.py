"""`/api/functions`: the functions of services, which are the gateway's functions."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from model_registry.api.app_state import CurrentApp
from model_registry.api.auth import Reader
from model_registry.api.guarded_route import GuardedRoute
from model_registry.api.parameters import Limit, Offset
from model_registry.api.problems import responses
from model_registry.api.resource import add_row_routes, page, rows
from model_registry.catalog.resources import FUNCTION
from model_registry.entities.function import Function

router = APIRouter(prefix="/api/functions", tags=["functions"], route_class=GuardedRoute)


@router.get(
    "",
    summary="List functions, ordered by service and name",
    operation_id="list_functions",
    responses={200: {"model": page("FunctionList", Function)}, **responses(401, 422, 429, 503)},
)
async def list_functions(
    request: Request,
    state: CurrentApp,
    _caller: Reader,
    service_name: Annotated[str | None, Query(description="Only functions of this service.")] = None,
    limit: Limit = None,
    offset: Offset = 0,
) -> Response:
    """All functions that match the filters."""
    snapshot = state.registry.snapshot
    found = [f for f in snapshot.functions if service_name in (None, f.service_name)]
    return await rows(request, snapshot, FUNCTION, found, limit, offset)


add_row_routes(router, FUNCTION)
