"""`/api/mappings`: which model serves which function of which service."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from model_registry.api.app_state import CurrentApp
from model_registry.api.auth import Reader
from model_registry.api.guarded_route import GuardedRoute
from model_registry.api.parameters import Limit, Offset
from model_registry.api.problems import responses
from model_registry.api.resource import add_row_routes, page, row, rows
from model_registry.catalog.resources import MAPPING
from model_registry.catalog.views import MappingView
from model_registry.snapshot.lookup import find_mapping, find_model

router = APIRouter(prefix="/api/mappings", tags=["mappings"], route_class=GuardedRoute)

MappingList = page("MappingList", MappingView)


@router.get(
    "",
    summary="List mappings, ordered by service, function and routing order",
    operation_id="list_mappings",
    responses={200: {"model": MappingList}, **responses(401, 404, 409, 422, 429, 503)},
)
async def list_mappings(
    request: Request,
    state: CurrentApp,
    _caller: Reader,
    service_name: Annotated[str | None, Query(description="Only mappings of this service.")] = None,
    function_name: Annotated[str | None, Query(description="Only mappings of functions with this name.")] = None,
    model: Annotated[str | None, Query(description="Only mappings to this model: id or name.")] = None,
    limit: Limit = None,
    offset: Offset = 0,
) -> Response:
    """All mappings that match the filters."""
    snapshot = state.registry.snapshot
    used = None if model is None else find_model(snapshot, model).id
    found = [
        m
        for m in snapshot.mappings
        if service_name in (None, m.service_name)
        and function_name in (None, m.function_name)
        and used in (None, m.model_id, m.fallback_model_id)
    ]
    return await rows(request, snapshot, MAPPING, found, limit, offset)


@router.get(
    "/{reference:path}",
    summary="Get a mapping by id or service/function/variant, or list a service's mappings by its name",
    operation_id="get_mapping",
    responses={200: {"model": MappingView | MappingList}, **responses(401, 404, 429, 503)},
)
async def get_mappings(request: Request, reference: str, state: CurrentApp, _caller: Reader) -> Response:
    """The name of a service returns a list; any other reference returns one row."""
    snapshot = state.registry.snapshot
    of_service = snapshot.mappings.where("service", reference)
    if of_service:
        return await rows(request, snapshot, MAPPING, of_service, None, 0)
    return row(request, snapshot, MAPPING, find_mapping(snapshot, reference))


add_row_routes(router, MAPPING, read=False)
