"""`/api/models`: the models of the catalogue, their versions and their deployments."""

from __future__ import annotations

import time
from functools import partial
from typing import Annotated, Any, NoReturn

from fastapi import APIRouter, Depends, HTTPException, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from model_registry.api.app_state import AppState, CurrentApp
from model_registry.api.auth import NEEDS_KEY, Administrator, KeyHolder, Reader
from model_registry.api.cached_responses import cached_response, json_response
from model_registry.api.guarded_route import GuardedRoute
from model_registry.api.problems import responses
from model_registry.api.resource import (
    FILTERED_MODELS,
    JOINED,
    Envelope,
    Limit,
    ModelQuery,
    Offset,
    add_row_routes,
    in_items_and_models,
    large_list_response,
    list_response,
    page,
    paginate,
)
from model_registry.api.routes.history import LARGEST, AuthorView
from model_registry.catalog.resources import MODEL
from model_registry.catalog.usable_order import usable_first
from model_registry.catalog.views import (
    DeploymentView,
    ModelVersionView,
    ModelView,
    deployment_view,
    model_version_view,
    model_view,
)
from model_registry.entities.model import Model
from model_registry.entities.openai_address import Address
from model_registry.errors import ModelNotFound
from model_registry.fleet.flap_damping import damp
from model_registry.gateways.tensorzero.rendering.render import FLEET_TABLES
from model_registry.gateways.tensorzero.rendering.routes import BEYOND, MOST_ROUTES, routing_of
from model_registry.selection.list_filters import search_models
from model_registry.selection.overviews import ModelStats, model_stats
from model_registry.snapshot.live_deployments import live_deployments
from model_registry.snapshot.lookup import as_uuid, find_model
from model_registry.store.json_bytes import json_bytes


class ModelList(page("ModelList", ModelView)):  # type: ignore[misc]
    """A page of models."""

    models: list[ModelView] | None = Field(
        None,
        description="The same rows as `items`, for programs that read this key. Only without `limit` and `offset`: "
        "`offset=0` halves a long list.",
    )


router = APIRouter(prefix="/api/models", tags=["models"], route_class=GuardedRoute)


@router.get(
    "",
    summary="List models, ordered by name and routing order",
    operation_id="list_models",
    responses={200: {"model": ModelList}, **responses(401, 422, 429, 503)},
)
async def list_models(
    request: Request, state: CurrentApp, _caller: Reader, query: Annotated[ModelQuery, Query()]
) -> Response:
    """All models that match the filters, by name and routing order, or sorted by any number.

    With `model_type` and without `sort`, the first row is the one to use: offered models come first, among them those
    that a node has loaded now, then other models on servers of your own, then those of hosted providers.
    """
    return await models_response(request, state, query, None if query.is_page() else in_items_and_models)


async def models_response(
    request: Request, state: AppState, query: ModelQuery, envelope: Envelope | None = None
) -> Response:
    """The list of models, in the envelope that the caller reads."""
    snapshot, tables = state.registry.snapshot, FILTERED_MODELS
    found = search_models(snapshot, state.indexes.of(snapshot), query, query.sort)
    if query.model_type is not None and query.sort is None:
        found, tables = usable_first(snapshot, found), (*tables, "model_deployments", "gpu_nodes")
    part = paginate(found, query.limit, query.offset)
    view = partial(model_view, snapshot)
    return await large_list_response(request, snapshot, part, view, len(found), tables, envelope)


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


async def _only_get() -> NoReturn:
    """A dependency, so that it comes before what else may be wrong with a request."""
    raise HTTPException(405, headers={"Allow": "GET"})


_ONLY_READ: dict[str, Any] = {
    "methods": ["PUT", "PATCH", "DELETE"],
    "dependencies": [Depends(_only_get)],
    "include_in_schema": False,
}


@router.api_route("/{reference:path}/versions", **_ONLY_READ)
@router.api_route("/{reference:path}/deployments", **_ONLY_READ)
async def refuse_to_edit_what_is_below(_caller: Administrator) -> None:
    """Keep the path from matching a model with such a name, which must be edited by its id."""


add_row_routes(router, MODEL)


class ModelVersion(AuthorView):
    """A version of a model."""

    model: ModelVersionView | None
    """The model from this revision on; null if deleted."""


class ModelVersions(BaseModel):
    """A page of a model's versions, oldest first."""

    items: list[ModelVersion]
    count: int | None
    """Number of all versions; null (not counted) beyond 1,000."""
    next_after: int | None
    """`after` of the next page; null on the last page."""


@router.get(
    "/{reference:path}/versions",
    summary="List all versions of a model, oldest first",
    operation_id="list_model_versions",
    openapi_extra=NEEDS_KEY,
    responses={200: {"model": ModelVersions}, **responses(401, 403, 404, 409, 422, 503)},
)
async def list_model_versions(
    reference: str,
    state: CurrentApp,
    _caller: KeyHolder,
    after: Annotated[int, Query(ge=0, le=LARGEST, description="Only versions after this revision.")] = 0,
    limit: Annotated[int, Query(ge=1, le=1000, description="Maximum number of versions.")] = 100,
) -> Response:
    """From the change log, which may have been trimmed. Includes deleted models, by id."""
    row_id = as_uuid(reference)
    if row_id is None or state.registry.snapshot.models.get(row_id) is not None:
        row_id = find_model(state.registry.snapshot, reference).id
    found = await state.history.changes(after=after, table=MODEL.table, row_id=row_id, limit=limit)
    if found["count"] == 0 and state.registry.snapshot.models.get(row_id) is None:
        raise ModelNotFound(f"There is no model {reference!r}, and the change log has no record of one.")
    items = [_version(change) for change in found["items"]]
    return json_response({**found, "items": items})


def _version(change: dict[str, Any]) -> dict[str, Any]:
    """The version in an entry of the change log. Rows written by an older release have fewer columns."""
    row = change["after"]
    model = None if row is None else model_version_view(Model.model_validate(row))
    return {key: change[key] for key in ("revision", "at", "actor", "operation")} | {"model": model}


class ModelDeploymentView(DeploymentView):
    """A deployment of a model, and whether gateways route to it."""

    base_url: str | None = Field(description="URL that gateways route to; null when they do not.")
    reason: str | None = Field(description="Why gateways do not route to it.")


@router.get(
    "/{reference:path}/deployments",
    summary="List the deployments of a model, with routes",
    operation_id="list_model_deployments",
    responses={200: {"model": page("ModelDeploymentList", ModelDeploymentView)}, **responses(401, 404, 409, 422, 503)},
)
async def list_model_deployments(
    request: Request, reference: str, state: CurrentApp, _caller: Reader, limit: Limit = None, offset: Offset = 0
) -> Response:
    """Live deployments in routing order, then the others, ordered by node."""
    snapshot = state.registry.snapshot
    model = find_model(snapshot, reference)
    damped = damp(snapshot, time.time(), state.settings.route_hold_seconds)
    held = {held.deployment.id: held.reason for held in damped.held}
    live = [found.deployment.id for found in live_deployments(damped.snapshot, model.id)]
    asked = [row_id for row_id in live if routing_of(snapshot, model, snapshot.deployments[row_id]).base][:MOST_ROUTES]
    known = {deployment.id: deployment for deployment in snapshot.deployments.where("model", model.id)}
    found = [known[row_id] for row_id in dict.fromkeys([*live, *known])]
    items = []
    for deployment in paginate(found, limit, offset):
        address = routing_of(snapshot, model, deployment)
        if address.base and deployment.id in held:
            address = Address(fault=held[deployment.id])
        elif address.base and deployment.id not in asked:
            address = Address(fault=BEYOND)
        items.append(deployment_view(snapshot, deployment) | {"base_url": address.base, "reason": address.fault})
    return list_response(
        request, damped.snapshot, items, len(found), ("models", "model_providers", *sorted(FLEET_TABLES))
    )
