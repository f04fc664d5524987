"""`/api/catalog`: the whole catalogue in one response, for clients that keep a current copy."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel
from starlette.responses import Response

from model_registry.api.app_state import AppState, CurrentApp
from model_registry.api.auth import Reader
from model_registry.api.guarded_route import GuardedRoute
from model_registry.api.problems import responses
from model_registry.api.responses import BodyCache, CachedBody, cached_body, matches, served
from model_registry.catalog.resources import RESOURCES
from model_registry.catalog.views import AliasView, MappingView, ModelView
from model_registry.entities.function import Function
from model_registry.entities.model import Category
from model_registry.entities.provider import Provider
from model_registry.store.json_bytes import json_bytes

router = APIRouter(prefix="/api/catalog", tags=["catalog"], route_class=GuardedRoute)

LONGEST_WAIT_SECONDS = 60
_KEY = (b"/api/catalog", b"")


class CatalogView(BaseModel):
    """All rows of the catalogue, each as in its own list."""

    providers: list[Provider]
    categories: list[Category]
    models: list[ModelView]
    aliases: list[AliasView]
    functions: list[Function]
    mappings: list[MappingView]


@router.get(
    "",
    summary="Get the whole catalogue at one revision; with `wait`, as soon as it changes",
    operation_id="get_catalog",
    responses={
        200: {"model": CatalogView},
        304: {"description": "Not modified, even after waiting"},
        **responses(401, 422, 503),
    },
)
async def get_catalog(
    request: Request,
    state: CurrentApp,
    _caller: Reader,
    wait: Annotated[
        float | None,
        Query(
            ge=0,
            le=LONGEST_WAIT_SECONDS,
            description="With `If-None-Match`: wait up to this many seconds for a change.",
        ),
    ] = None,
) -> Response:
    """Without deployments, which change often. Waiting requests cost the registry almost nothing."""
    known = request.headers.get("if-none-match")
    if wait and known:
        await state.registry.stepped.until(lambda: not matches(known, _body(request, state).etag), wait)
    return served(request, _body(request, state))


def _body(request: Request, state: AppState) -> CachedBody:
    """The response, built once for all callers and kept until one of its tables changes."""
    cache: BodyCache = request.app.state.bodies
    snapshot = state.registry.snapshot
    found = cache.get(_KEY, snapshot)
    if found is None:
        views = {
            resource.plural: [resource.view(snapshot, row) for row in snapshot.tables[resource.table]]
            for resource in RESOURCES
        }
        found = cached_body(request, snapshot, json_bytes(views), tables=[kind.table for kind in RESOURCES])
        cache.put(_KEY, found)
    return found
