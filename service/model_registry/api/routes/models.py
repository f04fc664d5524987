"""`/api/models`: the catalogue."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from fastapi import APIRouter, HTTPException, Query, Request
from starlette.responses import Response

from model_registry.api.app_state import CurrentApp
from model_registry.api.auth import Administrator, Reader
from model_registry.api.guarded_route import GuardedRoute
from model_registry.api.parameters import ModelQuery
from model_registry.api.problems import responses
from model_registry.api.resource import FILTERED_MODELS, JOINED, add_row_routes, large_list_response, page, paginate
from model_registry.api.responses import cached_response
from model_registry.catalog.resources import MODEL
from model_registry.catalog.views import ModelView, model_view
from model_registry.selection.list_filters import search_models
from model_registry.selection.overviews import ModelStats, model_stats
from model_registry.store.json_bytes import json_bytes

router = APIRouter(prefix="/api/models", tags=["models"], route_class=GuardedRoute)


@router.get(
    "",
    summary="List models, ordered by name and routing order",
    operation_id="list_models",
    responses={200: {"model": page("ModelList", ModelView)}, **responses(401, 422, 429, 503)},
)
async def list_models(
    request: Request, state: CurrentApp, _caller: Reader, query: Annotated[ModelQuery, Query()]
) -> Response:
    """All models that match the filters, in a stable order or sorted by any number."""
    snapshot = state.registry.snapshot
    found = search_models(snapshot, state.indexes.of(snapshot), query, query.sort)
    part = paginate(found, query.limit, query.offset)
    view = partial(model_view, snapshot)
    return await large_list_response(request, snapshot, part, view, len(found), FILTERED_MODELS)


@router.get(
    "/stats",
    summary="Get statistics of the catalogue",
    operation_id="model_stats",
    responses={200: {"model": ModelStats}, **responses(401, 503)},
)
async def stats(request: Request, state: CurrentApp, _caller: Reader) -> Response:
    """Numbers of models by kind, and the ranges of prices and other numbers."""
    snapshot = state.registry.snapshot
    found = model_stats(snapshot, state.indexes.of(snapshot))
    return cached_response(request, snapshot, json_bytes(found), tables=JOINED["models"])


@router.api_route("/{reference:path}/versions", methods=["PUT", "PATCH", "DELETE"], include_in_schema=False)
@router.api_route("/{reference:path}/deployments", methods=["PUT", "PATCH", "DELETE"], include_in_schema=False)
async def refuse_to_edit_what_is_below(_caller: Administrator) -> None:
    """Keep the path from matching a model with such a name, which must be edited by its id."""
    raise HTTPException(405, headers={"Allow": "GET"})


add_row_routes(router, MODEL)
