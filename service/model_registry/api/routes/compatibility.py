"""`/api/compatibility`: which model can do what."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from model_registry.api.app_state import CurrentApp
from model_registry.api.auth import Reader
from model_registry.api.guarded_route import GuardedRoute
from model_registry.api.parameters import ModelQuery
from model_registry.api.problems import responses
from model_registry.api.resource import FILTERED_MODELS, paginate
from model_registry.api.responses import cached_response
from model_registry.selection.list_filters import search_models
from model_registry.selection.overviews import Compatibility, columns, compatibility_row
from model_registry.store.json_bytes import json_bytes

router = APIRouter(prefix="/api/compatibility", tags=["models"], route_class=GuardedRoute)


@router.get(
    "",
    summary="List models by capability, as a matrix",
    operation_id="list_compatibility",
    responses={200: {"model": Compatibility}, **responses(401, 422, 503)},
)
async def list_compatibility(
    request: Request, state: CurrentApp, _caller: Reader, query: Annotated[ModelQuery, Query()]
) -> Response:
    """Rows are the models that match the filters; columns are all capabilities in the catalogue."""
    snapshot = state.registry.snapshot
    index = state.indexes.of(snapshot)
    found = search_models(snapshot, index, query, query.sort)
    capabilities = columns(index)
    items = [compatibility_row(snapshot, model, capabilities) for model in paginate(found, query.limit, query.offset)]
    body = {"capabilities": capabilities, "items": items, "count": len(found)}
    return cached_response(request, snapshot, json_bytes(body), tables=FILTERED_MODELS)
