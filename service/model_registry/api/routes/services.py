"""`/api/services`: the models for each service, best first."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel
from starlette.responses import Response

from model_registry.api.app_state import CurrentApp
from model_registry.api.auth import Reader
from model_registry.api.guarded_route import GuardedRoute
from model_registry.api.problems import responses
from model_registry.api.resource import JOINED, Limit, Offset, list_response, page, paginate
from model_registry.catalog.views import ServiceModelView, deployed_models, service_models
from model_registry.errors import NotFound

router = APIRouter(prefix="/api/services", tags=["services"], route_class=GuardedRoute)


class ServiceSummary(BaseModel):
    """A service and its functions."""

    service_name: str
    functions: list[str]


@router.get(
    "",
    summary="List services that have mappings",
    operation_id="list_services",
    responses={200: {"model": page("ServiceList", ServiceSummary)}, **responses(401, 422, 503)},
)
async def list_services(
    request: Request, state: CurrentApp, _caller: Reader, limit: Limit = None, offset: Offset = 0
) -> Response:
    """All services ordered by name, each with its functions."""
    snapshot = state.registry.snapshot
    functions: dict[str, dict[str, None]] = {}
    for mapping in snapshot.mappings:
        functions.setdefault(mapping.service_name, {})[mapping.function_name] = None
    found = [{"service_name": name, "functions": list(names)} for name, names in functions.items()]
    return list_response(request, snapshot, paginate(found, limit, offset), len(found), ("service_model_mappings",))


@router.get(
    "/{service_name:path}/models",
    summary="List the models of a service, best first",
    operation_id="list_service_models",
    responses={200: {"model": page("ServiceModelList", ServiceModelView)}, **responses(401, 404, 422, 503)},
)
async def list_service_models(
    request: Request,
    service_name: str,
    state: CurrentApp,
    _caller: Reader,
    function: Annotated[str | None, Query(description="Only models for this function of the service.")] = None,
    deployed: Annotated[
        bool,
        Query(
            description="Only models available now: those that run on nodes must be loaded on one; fallback models "
            "come last."
        ),
    ] = False,
) -> Response:
    """Ordered by priority, then by descending weight, without inactive models and providers. Use the first row."""
    snapshot = state.registry.snapshot
    mappings = snapshot.mappings.where("service", service_name)
    known = {m.function_name for m in mappings}
    if not mappings or (function is not None and function not in known):
        what = f"a function {function!r}" if mappings else "mappings"
        raise NotFound(f"The service {service_name!r} has no {what.removeprefix('a ')}.", allowed=sorted(known))
    tables = JOINED["service_model_mappings"] + JOINED["models"]
    if deployed:
        items = deployed_models(snapshot, service_name, function)
        return list_response(request, snapshot, items, len(items), (*tables, "model_deployments", "gpu_nodes"))
    items = service_models(snapshot, service_name, function)
    return list_response(request, snapshot, items, len(items), tables)
