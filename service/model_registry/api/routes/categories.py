"""`/api/categories`: kinds of models, for browsing."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from model_registry.api.app_state import CurrentApp
from model_registry.api.auth import Reader
from model_registry.api.guarded_route import GuardedRoute
from model_registry.api.parameters import Limit, Offset
from model_registry.api.problems import responses
from model_registry.api.resource import add_row_routes, page, rows
from model_registry.catalog.resources import CATEGORY
from model_registry.entities.model import Category

router = APIRouter(prefix="/api/categories", tags=["models"], route_class=GuardedRoute)


@router.get(
    "",
    summary="List categories, ordered by key",
    operation_id="list_categories",
    responses={200: {"model": page("CategoryList", Category)}, **responses(401, 422, 429, 503)},
)
async def list_categories(
    request: Request, state: CurrentApp, _caller: Reader, limit: Limit = None, offset: Offset = 0
) -> Response:
    """All categories."""
    snapshot = state.registry.snapshot
    return await rows(request, snapshot, CATEGORY, list(snapshot.categories), limit, offset)


add_row_routes(router, CATEGORY)
