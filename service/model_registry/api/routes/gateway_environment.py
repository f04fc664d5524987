"""`/api/gateways/{gateway}/environment`: which variables a gateway needs, and which are set where it runs. Names only.

No `from __future__ import annotations` here: FastAPI reads the annotations.
"""

import asyncio
import time
from collections.abc import Iterable, Sequence
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, Field
from starlette.responses import Response

from model_registry.api.app_state import AppState, CurrentApp
from model_registry.api.auth import GatewayAgent, Reader
from model_registry.api.cached_responses import NOT_KEPT, json_response
from model_registry.api.edits import write
from model_registry.api.guarded_route import GuardedRoute
from model_registry.api.problems import responses
from model_registry.catalog.resources import GATEWAY
from model_registry.entities.change import Operation
from model_registry.entities.gateway import Gateway
from model_registry.entities.provider import VariableName
from model_registry.errors import Invalid, NotAllowed, PreconditionFailed, Reason
from model_registry.gateways.kind import Rendered, Variable
from model_registry.snapshot.snapshot import Snapshot

router = APIRouter(prefix="/api/gateways", tags=["gateways"], route_class=GuardedRoute)

_MOST_NAMES = 10_000
_TRIES = 3
"""Of a report, when other agents report at the same moment."""

Names = Annotated[list[VariableName], Field(max_length=_MOST_NAMES)]


class EnvironmentReport(BaseModel):
    """What is set where a gateway runs. What is not named stays as it is known."""

    names: Names = Field([], description="Variables that are set there: names, never values.", examples=[["A_KEY"]])
    missing: Names = Field([], description="Variables that are not set there.", examples=[["ANOTHER_KEY"]])


class VariableView(BaseModel):
    """An environment variable that a gateway needs."""

    name: str
    needed_by: list[str] = Field(examples=[["provider openai"]])
    is_set: bool | None = Field(description="Whether it is set where the gateway runs; null: not known.")


class EnvironmentView(BaseModel):
    """What a gateway needs of its environment."""

    gateway: str
    environment: list[str] | None = Field(description="The names that are known to be set there. Null: not known.")
    variables: list[VariableView] = Field(description="What its newest configuration names: all must be set there.")
    missing: list[VariableView] = Field(description="Those without which something is left out.")


@router.get(
    "/{reference:path}/environment",
    summary="Get the environment variables that a gateway needs",
    operation_id="get_gateway_environment",
    responses={200: {"model": EnvironmentView}, **responses(401, 404, 503)},
)
async def get_environment(reference: str, state: CurrentApp, _caller: Reader) -> Response:
    """What the newest configuration names, and what is left out of it because a variable is missing."""
    gateway = GATEWAY.find(state.registry.snapshot, reference)
    return await _answer(state, gateway)


@router.post(
    "/{reference:path}/environment",
    summary="Report which environment variables are set where a gateway runs",
    operation_id="report_gateway_environment",
    responses={200: {"model": EnvironmentView}, **responses(401, 403, 404, 412, 422, 503)},
)
async def report_environment(
    reference: str, body: EnvironmentReport, state: CurrentApp, caller: GatewayAgent
) -> Response:
    """For agents beside gateways. A key that is limited to services may report for gateways that it names alike.

    Names that are neither in `names` nor in `missing` stay as they are. The first report makes the environment known:
    from then on everything whose variable is not set is left out.
    """

    def plan(snapshot: Snapshot) -> Sequence[Operation]:
        gateway = GATEWAY.find(snapshot, reference)
        if not caller.may_use(gateway.name):
            raise NotAllowed(f"API key {caller.name!r} is limited to others than {gateway.name!r}.")
        names = sorted({*(gateway.environment or ()), *body.names} - set(body.missing))
        if len(names) > _MOST_NAMES:
            message = (
                f"{len(names)} would be set where {gateway.name} runs, and {_MOST_NAMES} are the limit: report only "
                "those that its configuration names, and the others as missing"
            )
            raise Invalid(f"{message}.", reasons=[Reason("names", message)])
        if names == gateway.environment:
            return []
        return [Operation("gateways", "update", gateway.id, {"environment": names}, gateway.version)]

    for left in reversed(range(_TRIES)):
        try:
            await write(state, plan, caller)
            break
        except PreconditionFailed:
            if not left:
                raise
    return await _answer(state, GATEWAY.find(state.registry.snapshot, reference))


async def _answer(state: AppState, gateway: Gateway) -> Response:
    publisher = state.publishers.of(gateway)
    rendered = Rendered({})
    if publisher is not None:
        snapshot = state.registry.snapshot
        damped = publisher.damped(snapshot, time.time()).snapshot
        rendered = await asyncio.to_thread(publisher.rendered, damped)
    view = {
        "gateway": gateway.name,
        "environment": gateway.environment,
        "variables": _views(rendered.variables, gateway),
        "missing": _views(rendered.missing, gateway),
    }
    return json_response(view, headers=NOT_KEPT)


def _views(variables: Iterable[Variable], gateway: Gateway) -> list[dict[str, Any]]:
    there = None if gateway.environment is None else frozenset(gateway.environment)
    return [
        {"name": v.name, "needed_by": list(v.needed_by), "is_set": None if there is None else v.name in there}
        for v in variables
    ]
