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
from model_registry.catalog.views import ServiceModelView, View, deployed_models, service_models
from model_registry.errors import NotFound
from model_registry.snapshot.lookup import find_service
from model_registry.snapshot.snapshot import Snapshot

_TABLES = JOINED["service_model_mappings"] + JOINED["models"]

OfFunction = Annotated[str | None, Query(description="Only models for this function of the service.")]
OnlyDeployed = Annotated[
    bool,
    Query(
        description="Only models available now: those that run on nodes must be loaded on one; fallback models "
        "come last."
    ),
]

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
    function: OfFunction = None,
    deployed: OnlyDeployed = False,
) -> Response:
    """Ordered by priority, then by descending weight, without inactive models and providers. Use the first row.

    A service is also found by another spelling of its name: `hi-rag` for `hirag`, `agent_zero` for `agent-zero`.
    """
    snapshot = state.registry.snapshot
    items, tables = service_rows(snapshot, service_name, function, deployed=deployed)
    return list_response(request, snapshot, items, len(items), tables)


def service_rows(
    snapshot: Snapshot, reference: str, function: str | None, *, deployed: bool
) -> tuple[list[View], tuple[str, ...]]:
    """List the models of a service, and the tables that they are made of. Errors: NotFound."""
    service = _service_of(snapshot, reference, function)
    if deployed:
        return deployed_models(snapshot, service, function), (*_TABLES, "model_deployments", "gpu_nodes")
    return service_models(snapshot, service, function), _TABLES


def _service_of(snapshot: Snapshot, reference: str, function: str | None) -> str:
    """The name of a service, in any spelling, that has this function. Errors: NotFound."""
    service = find_service(snapshot, reference)
    known = {mapping.function_name for mapping in snapshot.mappings.where("service", service)}
    if function is not None and function not in known:
        message = f"The service {service!r} has no function {function!r}."
        raise NotFound(message, allowed=sorted(known))
    return service
