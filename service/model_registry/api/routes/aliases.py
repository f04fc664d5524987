"""`/api/aliases`: other names for models."""

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
from model_registry.catalog.resources import ALIAS
from model_registry.catalog.views import AliasView

router = APIRouter(prefix="/api/aliases", tags=["aliases"], route_class=GuardedRoute)


@router.get(
    "",
    summary="List aliases, ordered by name and context",
    operation_id="list_aliases",
    responses={200: {"model": page("AliasList", AliasView)}, **responses(401, 422, 429, 503)},
)
async def list_aliases(
    request: Request,
    state: CurrentApp,
    _caller: Reader,
    alias: Annotated[str | None, Query(description="Only this alias, in all contexts.")] = None,
    context: Annotated[str | None, Query(description="Only aliases in this context.")] = None,
    limit: Limit = None,
    offset: Offset = 0,
) -> Response:
    """All aliases that match the filters."""
    snapshot = state.registry.snapshot
    found = [a for a in snapshot.aliases if alias in (None, a.alias) and context in (None, a.context)]
    return await rows(request, snapshot, ALIAS, found, limit, offset)


add_row_routes(router, ALIAS)
