"""`/services`: instances of model services: registered, renewed, drained, and how they are.

The applications that use models are another thing: `/api/services`.

No `from __future__ import annotations` here: FastAPI reads the annotations, and the type of a body is made here.
"""

from collections.abc import Sequence
from typing import Annotated, Any, get_args

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from model_registry.api.app_state import AppState, CurrentApp
from model_registry.api.auth import ProbeReader, Reader, Registrant
from model_registry.api.cached_responses import NOT_KEPT, json_response
from model_registry.api.caller import Caller
from model_registry.api.guarded_route import GuardedRoute
from model_registry.api.problems import responses
from model_registry.api.resource import Limit, Offset, in_items, page, paginate, partial
from model_registry.entities.base import Text
from model_registry.entities.model_service import InstanceStatus, ServiceInstance
from model_registry.errors import NotAllowed
from model_registry.selection.filter_values import known
from model_registry.services.author import Author
from model_registry.services.dispatch.targets import TargetState
from model_registry.services.registration import Registration
from model_registry.services.views import InstanceHealth, InstanceView, health_view, instance_view, state_of
from model_registry.snapshot.lookup import find_instance, find_model_service
from model_registry.snapshot.snapshot import Snapshot
from model_registry.store.json_bytes import json_bytes

router = APIRouter(prefix="/services", tags=["model services"], route_class=GuardedRoute)

_SHAPE: Any = {"model": InstanceView}
_WRITE: Any = responses(401, 403, 404, 409, 422, 503)
_CHANGE: Any = partial(Registration)


class Why(BaseModel):
    """Why an instance is taken out."""

    reason: Annotated[Text, Field(max_length=500)] | None = None


@router.get(
    "",
    summary="List instances of model services, ordered by service_id",
    operation_id="list_instances",
    responses={200: {"model": page("InstanceList", InstanceView)}, **responses(401, 403, 404, 422, 429, 503)},
)
async def list_instances(
    request: Request,
    state: CurrentApp,
    caller: Reader,
    model_type: Annotated[str | None, Query(description="Only instances of this type, without case.")] = None,
    health: Annotated[
        str | None, Query(alias="state", description="Only instances in this state.", examples=["offline"])
    ] = None,
    limit: Limit = None,
    offset: Offset = 0,
) -> Response:
    """What was registered, and how each instance is, as this replica knows it; a limited key sees its model types."""
    snapshot, how = state.registry.snapshot, state.model_services.known
    matching: Sequence[ServiceInstance] = [i for i in snapshot.instances if caller.may_see(_type(snapshot, i))]
    if model_type is not None:
        caller.require_sight(model_type)
        service = find_model_service(snapshot, model_type)
        matching = sorted(snapshot.instances.where("model_service", service.id), key=lambda i: i.service_id)
    if health is not None:
        known("state", health, get_args(TargetState))
        matching = [instance for instance in matching if state_of(instance, how(instance))[0] == health]
    # How they are is looked at here, on the event loop; the rest of the work need not be done here.
    part = [(instance, how(instance)) for instance in paginate(matching, limit, offset)]

    def make() -> bytes:
        return in_items(json_bytes([instance_view(snapshot, *one) for one in part]), len(matching))

    body = await state.work.listed(request, len(part), make)
    return Response(body, headers=NOT_KEPT, media_type="application/json")


@router.get(
    "/{reference}",
    summary="Get an instance by its service_id or id",
    operation_id="get_instance",
    responses={200: _SHAPE, **responses(401, 403, 404, 503)},
)
async def get_instance(reference: str, state: CurrentApp, caller: Reader) -> Response:
    """What was registered, and how the instance is, as this replica knows it."""
    return _answer(state, _visible(state, reference, caller))


@router.get(
    "/{reference}/health",
    summary="Get the health of an instance",
    operation_id="get_instance_health",
    responses={200: {"model": InstanceHealth}, **responses(401, 403, 404, 422, 503)},
)
async def get_health(
    reference: str,
    state: CurrentApp,
    caller: ProbeReader,
    probe: Annotated[bool, Query(description="Ask the instance now, for at most 5 s. Needs a key.")] = False,
) -> Response:
    """How the instance is, as this replica knows it: by its probes, and by what requests met."""
    instance = _visible(state, reference, caller)
    if probe:
        await state.model_services.prober.look(instance)
    answer = health_view(instance, state.model_services.known(instance), state.registry.origin)
    return json_response(answer, headers=NOT_KEPT)


@router.post(
    "/register",
    status_code=201,
    summary="Register an instance of a model service, or update it",
    operation_id="register_instance",
    responses={201: _SHAPE, 200: _SHAPE, **_WRITE},
)
async def register(body: Registration, state: CurrentApp, caller: Registrant) -> Response:
    """Returns 201 for a new instance, 200 for a known one. To register again is to renew, too.

    Fields that are left out stay as they are; null sets the default. Neither does it bring back what was drained.
    """
    instance, is_new = await state.model_services.registrar.register(body, _author(caller))
    _renewed(state, instance)
    if not is_new:
        return _answer(state, instance)
    return _answer(state, instance, 201, {"Location": f"/services/{instance.service_id}"})


@router.patch(
    "/{reference}",
    summary="Update some fields of an instance",
    operation_id="change_instance",
    responses={200: _SHAPE, **_WRITE},
)
async def change(
    reference: str,
    body: _CHANGE,
    state: CurrentApp,
    caller: Registrant,
) -> Response:
    """Null sets the default of a field."""
    fields = body.model_dump(exclude_unset=True)
    return _answer(state, await state.model_services.registrar.change(reference, fields, _author(caller)))


@router.post(
    "/{reference}/renew",
    summary="Renew an instance that has a time to live",
    operation_id="renew_instance",
    responses={200: _SHAPE, **responses(401, 403, 404, 409, 503)},
)
async def renew(reference: str, state: CurrentApp, caller: Registrant) -> Response:
    """No change of the registry. Also accepted while the database is away; then silence does not count either.

    404: it is gone, register it again.
    """
    instance = await state.model_services.registrar.renewable(reference, _author(caller))
    _renewed(state, instance)
    return _answer(state, instance)


@router.post(
    "/{reference}/drain",
    summary="Send an instance no new requests",
    operation_id="drain_instance",
    responses={200: _SHAPE, **_WRITE},
)
async def drain(reference: str, state: CurrentApp, caller: Registrant, body: Why | None = None) -> Response:
    """Running requests end; `in_flight` says how many there are in this replica. It stays registered."""
    return await _set_status(state, reference, "draining", caller, body)


@router.post(
    "/{reference}/retire",
    summary="Send an instance no new requests, and delete it when the running ones have ended",
    operation_id="retire_instance",
    responses={200: _SHAPE, **_WRITE},
)
async def retire(reference: str, state: CurrentApp, caller: Registrant, body: Why | None = None) -> Response:
    """It is gone about 3 s after the last request of any replica. Until then `activate` brings it back."""
    return await _set_status(state, reference, "retired", caller, body)


@router.post(
    "/{reference}/activate",
    summary="Send an instance requests again",
    operation_id="activate_instance",
    responses={200: _SHAPE, **_WRITE},
)
async def activate(reference: str, state: CurrentApp, caller: Registrant) -> Response:
    """After `drain` or `retire`."""
    return await _set_status(state, reference, "active", caller, None)


@router.delete(
    "/{reference}",
    status_code=204,
    summary="Delete an instance at once",
    operation_id="delete_instance",
    responses=responses(401, 403, 404, 503),
)
async def delete(reference: str, state: CurrentApp, caller: Registrant) -> Response:
    """Requests that are running go on. To let them end first, use `retire`."""
    await state.model_services.registrar.remove(reference, _author(caller))
    return Response(status_code=204)


async def _set_status(
    state: AppState, reference: str, status: InstanceStatus, caller: Caller, why: Why | None
) -> Response:
    reason = why.reason if why else None
    return _answer(state, await state.model_services.registrar.set_status(reference, status, _author(caller), reason))


def _visible(state: AppState, reference: str, caller: Caller) -> ServiceInstance:
    """Find an instance that the caller may look at. Errors: NotFound, NotAllowed."""
    snapshot = state.registry.snapshot
    instance = find_instance(snapshot, reference)
    if not caller.may_see(_type(snapshot, instance)):
        raise NotAllowed(f"API key {caller.name!r} is limited to other model types than that of {reference!r}.")
    return instance


def _type(snapshot: Snapshot, instance: ServiceInstance) -> str:
    service = snapshot.model_services.get(instance.model_service_id)
    return service.model_type if service else ""


def _author(caller: Caller) -> Author:
    return Author(caller.name, "http", is_admin=caller.may("admin"), model_types=caller.services)


def _renewed(state: AppState, instance: ServiceInstance) -> None:
    if instance.ttl_seconds is not None and instance.status != "retired":
        state.model_services.liveness.renewed(instance.service_id)


def _answer(
    state: AppState, instance: ServiceInstance, status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    view = instance_view(state.registry.snapshot, instance, state.model_services.known(instance))
    return json_response(view, status, {**NOT_KEPT, **(headers or {})})
