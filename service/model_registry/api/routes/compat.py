"""`/compat/api/...`: lists without an envelope, for programs that expect a bare JSON array."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from model_registry.api.app_state import CurrentApp
from model_registry.api.auth import Reader
from model_registry.api.cached_responses import cached_response
from model_registry.api.guarded_route import GuardedRoute
from model_registry.api.problems import responses
from model_registry.api.resource import ModelQuery, bare
from model_registry.api.routes.models import models_response
from model_registry.api.routes.services import OfFunction, OnlyDeployed, service_rows
from model_registry.catalog.views import ModelView, ServiceModelView
from model_registry.store.json_bytes import json_bytes

router = APIRouter(prefix="/compat/api", tags=["compatibility"], route_class=GuardedRoute)


@router.get(
    "/models",
    summary="List models as a bare array",
    operation_id="list_models_bare",
    responses={200: {"model": list[ModelView]}, **responses(401, 422, 429, 503)},
)
async def list_models(
    request: Request, state: CurrentApp, _caller: Reader, query: Annotated[ModelQuery, Query()]
) -> Response:
    """The rows of `GET /api/models`, with the same filters and in the same order."""
    return await models_response(request, state, query, bare)


@router.get(
    "/services/{service_name:path}/models",
    summary="List the models of a service as a bare array, best first",
    operation_id="list_service_models_bare",
    responses={200: {"model": list[ServiceModelView]}, **responses(401, 404, 422, 503)},
)
async def list_service_models(
    request: Request,
    service_name: str,
    state: CurrentApp,
    _caller: Reader,
    function: OfFunction = None,
    deployed: OnlyDeployed = False,
) -> Response:
    """The rows of `GET /api/services/{service_name}/models`."""
    snapshot = state.registry.snapshot
    items, tables = service_rows(snapshot, service_name, function, deployed=deployed)
    return cached_response(request, snapshot, json_bytes(items), tables=tables)
