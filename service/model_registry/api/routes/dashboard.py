"""`/health` and `/status/{model_type}`: what the dashboard of the model manager asks. Answered from memory.

Its other paths are dispatched: `/train_model` (`api/dispatch/training.py`) and `/training-status/{name}`
(`api/dispatch/training_reports.py`). `/healthz` and `/readyz`, in `health.py`, are for what runs the registry.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, Final, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from model_registry.api.app_state import CurrentApp
from model_registry.api.auth import Reader
from model_registry.api.cached_responses import NOT_KEPT, json_response
from model_registry.api.guarded_route import GuardedRoute
from model_registry.api.problems import responses
from model_registry.services.views import state_of
from model_registry.snapshot.lookup import find_model_service

router = APIRouter(tags=["model services"], route_class=GuardedRoute)

_RUNNING: Final = frozenset({"healthy", "busy", "degraded", "rate-limited"})
"""States in which an instance gets requests."""


class ManagerHealth(BaseModel):
    """The registry runs. The rest only for callers with read access."""

    status: Literal["running"]
    model_services: int | None = None
    instances: dict[str, int] | None = Field(None, description="Instances by state, as this replica knows them.")
    jobs: int | None = Field(None, description="Jobs that this replica works on.")


class RunningInstance(BaseModel):
    """How one instance is."""

    service_id: str
    state: str
    reason: str


class TypeStatus(BaseModel):
    """Whether a model type can be asked."""

    model_config = ConfigDict(protected_namespaces=())

    running: bool = Field(description="Whether any instance gets requests; one that is busy training does.")
    model_type: str
    instances: list[RunningInstance]


@router.get(
    "/health",
    summary="Check that the registry runs",
    operation_id="manager_health",
    responses={200: {"model": ManagerHealth}},
)
async def manager_health(request: Request, state: CurrentApp) -> Response:
    """Answered from memory, whatever the database or a model service does."""
    view: dict[str, Any] = {"status": "running"}
    if state.registry.loaded and await state.authenticator.knows(request):
        snapshot = state.registry.snapshot
        known = state.model_services.known
        states = Counter(state_of(instance, known(instance))[0] for instance in snapshot.instances)
        view |= {"model_services": len(snapshot.model_services), "instances": states, "jobs": len(state.jobs)}
    return json_response(view, headers=NOT_KEPT)


@router.get(
    "/status/{model_type}",
    summary="Get whether a model type can be asked",
    operation_id="model_type_status",
    responses={200: {"model": TypeStatus}, **responses(401, 403, 404, 503)},
)
async def model_type_status(model_type: str, state: CurrentApp, caller: Reader) -> Response:
    """Its instances, as this replica knows them. A key that is limited to other model types may not see them."""
    caller.require_sight(model_type)
    snapshot = state.registry.snapshot
    service = find_model_service(snapshot, model_type)
    instances = []
    for instance in snapshot.instances.where("model_service", service.id):
        word, reason = state_of(instance, state.model_services.known(instance))
        instances.append({"service_id": instance.service_id, "state": word, "reason": reason})
    running = any(instance["state"] in _RUNNING for instance in instances)
    view = {"running": running, "model_type": service.model_type, "instances": instances}
    return json_response(view, headers=NOT_KEPT)
