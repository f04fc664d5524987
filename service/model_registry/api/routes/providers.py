"""`/api/providers`: accounts and servers that run models."""

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
from model_registry.catalog.resources import PROVIDER
from model_registry.entities.provider import Provider
from model_registry.selection.list_filters import search_providers

router = APIRouter(prefix="/api/providers", tags=["providers"], route_class=GuardedRoute)


@router.get(
    "",
    summary="List providers, ordered by name",
    operation_id="list_providers",
    responses={200: {"model": page("ProviderList", Provider)}, **responses(401, 422, 429, 503)},
)
async def list_providers(
    request: Request,
    state: CurrentApp,
    _caller: Reader,
    type: Annotated[str | None, Query(description="Only providers of this type.", examples=["openai"])] = None,  # noqa: A002 (the parameter's public name)
    active: bool | None = None,
    limit: Limit = None,
    offset: Offset = 0,
) -> Response:
    """All providers that match the filters."""
    snapshot = state.registry.snapshot
    found = search_providers(snapshot, provider_type=type, active=active)
    return await rows(request, snapshot, PROVIDER, found, limit, offset)


add_row_routes(router, PROVIDER)
