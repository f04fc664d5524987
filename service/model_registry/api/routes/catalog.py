"""`/api/providers`, `/categories`, `/aliases`, `/functions`, `/mappings`: the catalogue; `/api/catalog`: all of it.

Its models are in `models.py`.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel
from starlette.responses import Response

from model_registry.api.app_state import AppState, CurrentApp
from model_registry.api.auth import Reader
from model_registry.api.cached_responses import BodyCache, CachedBody, cached_body, matches, served
from model_registry.api.guarded_route import GuardedRoute
from model_registry.api.problems import responses
from model_registry.api.resource import Limit, Offset, add_row_routes, page, row, rows
from model_registry.catalog.resources import ALIAS, CATEGORY, FUNCTION, MAPPING, PROVIDER, RESOURCES
from model_registry.catalog.views import AliasView, MappingView, ModelView
from model_registry.entities.function import Function
from model_registry.entities.model import Category
from model_registry.entities.provider import Provider
from model_registry.selection.list_filters import search_providers
from model_registry.snapshot.lookup import as_uuid, find_mapping, find_model, find_service
from model_registry.store.json_bytes import json_bytes

providers = APIRouter(prefix="/api/providers", tags=["providers"], route_class=GuardedRoute)
categories = APIRouter(prefix="/api/categories", tags=["models"], route_class=GuardedRoute)
aliases = APIRouter(prefix="/api/aliases", tags=["aliases"], route_class=GuardedRoute)
functions = APIRouter(prefix="/api/functions", tags=["functions"], route_class=GuardedRoute)
mappings = APIRouter(prefix="/api/mappings", tags=["mappings"], route_class=GuardedRoute)
catalog = APIRouter(prefix="/api/catalog", tags=["catalog"], route_class=GuardedRoute)
ROUTERS = (providers, categories, aliases, functions, mappings, catalog)


@providers.get(
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


add_row_routes(providers, PROVIDER)


@categories.get(
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


add_row_routes(categories, CATEGORY)


@aliases.get(
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


add_row_routes(aliases, ALIAS)


@functions.get(
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


add_row_routes(functions, FUNCTION)


MappingList = page("MappingList", MappingView)


@mappings.get(
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


@mappings.get(
    "/{reference:path}",
    summary="Get a mapping by id or service/function/variant, or list a service's mappings by its name",
    operation_id="get_mapping",
    responses={200: {"model": MappingView | MappingList}, **responses(401, 404, 429, 503)},
)
async def get_mappings(request: Request, reference: str, state: CurrentApp, _caller: Reader) -> Response:
    """The name of a service, in any spelling, returns a list; any other reference returns one row."""
    snapshot = state.registry.snapshot
    of_service = snapshot.mappings.where("service", reference)
    if not of_service and (as_uuid(reference) or reference.count("/") > 1):
        return row(request, snapshot, MAPPING, find_mapping(snapshot, reference))
    of_service = of_service or snapshot.mappings.where("service", find_service(snapshot, reference))
    return await rows(request, snapshot, MAPPING, of_service, None, 0)


add_row_routes(mappings, MAPPING, read=False)


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


@catalog.get(
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
