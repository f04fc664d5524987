"""`/healthz`, `/readyz` and `/metrics`: is the process alive, are its dependencies, and what it counted. No secrets."""

from __future__ import annotations

from typing import Any, Literal
from urllib.parse import quote

from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel, Field
from starlette.responses import Response

from model_registry.api.app_state import AppState, CurrentApp
from model_registry.api.cached_responses import JSON, NOT_KEPT, json_response
from model_registry.api.guarded_route import GuardedRoute
from model_registry.api.problems import responses
from model_registry.confinement.walls import missing_walls
from model_registry.entities.gateway import DEFAULT_GATEWAY
from model_registry.entities.secret_values import masked_value
from model_registry.fleet.event_consumer import EventConsumer
from model_registry.fleet.liveness import NodeLiveness
from model_registry.gateways.publishing.publisher import ConfigPublisher

router = APIRouter(tags=["operations"], route_class=GuardedRoute)

_NO_NATS = "NATS_URL is not set: no GPU events; writes of other replicas are found by polling."
_NO_FLEET = "Without NATS there are no heartbeats, and no node is marked as lost."
_ELSEWHERE = "This replica has the role dispatch, and leaves it to others."
_SHOWN = 3
"""Reasons in a detail; all of them are in the status of the publishing."""
NOT_SHUT_IN = "This machine's kernel cannot keep checks of untrusted projects from: "


class Health(BaseModel):
    """The process is alive."""

    status: Literal["ok"]


class Dependency(BaseModel):
    """A dependency of the service. A warning leaves the service ready."""

    status: Literal["ok", "warning", "degraded", "down", "off"]
    detail: str


class Readiness(BaseModel):
    """Whether this replica should receive requests."""

    status: Literal["ready", "degraded", "not ready"]
    revision: int | None = None
    dependencies: dict[str, Dependency] | None = Field(None, description="Only for callers with read access.")


@router.get("/healthz", summary="Check that the process is alive", responses={200: {"model": Health}})
async def healthz() -> Response:
    """Independent of all dependencies: an unavailable database is no reason to restart the service."""
    return Response(b'{"status":"ok"}', media_type=JSON)


@router.get(
    "/readyz",
    summary="Check readiness, with the state of each dependency",
    responses={200: {"model": Readiness}, 503: {"model": Readiness}},
)
async def readyz(request: Request, state: CurrentApp) -> Response:
    """503 only while there is no snapshot to read from. `degraded`: reads continue, something else does not work.

    Open to load balancers even where reads require a key: without one, only the status is returned.
    """
    registry, only_dispatches = state.registry, state.settings.role == "dispatch"
    parts = {
        "confinement": _confinement(),
        "database": _database(state),
        "nats": _health(state.events, _ELSEWHERE if only_dispatches else _NO_NATS),
        "fleet": _health(state.liveness, _ELSEWHERE if only_dispatches else _NO_FLEET),
        "service_messages": _health(state.service_messages, _ELSEWHERE if only_dispatches else _NO_NATS),
        "publishing": {"status": "off", "detail": _ELSEWHERE} if only_dispatches else _publishing(state),
    }
    parts, _ = masked_value(parts)  # details quote what libraries say, and those quote addresses with passwords
    down = any(part["status"] in ("down", "degraded") for part in parts.values())
    status = "not ready" if not registry.loaded else "degraded" if down else "ready"
    revision = registry.snapshot.revision if registry.loaded else None
    view: dict[str, Any] = {"status": status}
    if await state.authenticator.knows(request):
        view |= {"revision": revision, "dependencies": parts}
    return json_response(view, 200 if registry.loaded else 503, NOT_KEPT)


def _confinement() -> dict[str, str]:
    missing = missing_walls()
    if not missing:
        return {"status": "ok", "detail": "Checks of configurations run in a sandbox."}
    return {"status": "warning", "detail": f"{NOT_SHUT_IN}{'; '.join(missing)}"}


def _database(state: AppState) -> dict[str, str]:
    registry = state.registry
    if registry.last_error is None:
        return {"status": "ok", "detail": "answers"}
    stale = registry.stale_seconds()
    since = "" if stale is None else f" Reads are answered from a snapshot that is {int(stale)} s old."
    return {"status": "down", "detail": registry.last_error + since}


def _health(part: EventConsumer | NodeLiveness | None, without: str) -> dict[str, str]:
    status, detail = part.health() if part is not None else ("off", without)
    return {"status": status, "detail": detail}


def _publishing(state: AppState) -> dict[str, str]:
    """That of every gateway: what is wrong at others than the first is named with them."""
    parts = {publisher.name: _published(publisher) for publisher in state.publishers}
    wrong = {name: part["detail"] for name, part in parts.items() if part["status"] != "ok"}
    if not wrong or list(wrong) == [DEFAULT_GATEWAY]:
        return parts[DEFAULT_GATEWAY]
    return {"status": "warning", "detail": " ".join(f"{name}: {detail}" for name, detail in sorted(wrong.items()))}


def _published(publisher: ConfigPublisher) -> dict[str, str]:
    """A refused row or configuration is nobody's outage, and somebody's mistake."""
    delivery = publisher.delivery
    if publisher.pin_error is not None:
        return {"status": "warning", "detail": f"What was served is served on: {publisher.pin_error}"}
    if delivery.refused_revision is None:
        revision = f" at revision {delivery.served.revision}" if delivery.served else ": none is validated yet"
        return {"status": "ok", "detail": f"Gateways get the whole configuration{revision}."}
    if delivery.refused is None:
        what = f"Rows left out of the configuration, because validation refuses them: {len(delivery.excluded)}"
        lines = [f"{row.kind} {row.name}: {row.reason}" for row in delivery.excluded]
    else:
        since = f" Gateways keep revision {delivery.served.revision}." if delivery.served else ""
        what = f"Validation refuses the configuration of revision {delivery.refused.revision}.{since} Reasons"
        lines = list(map(str, delivery.refused.reasons))
    reasons = "; ".join(lines[:_SHOWN])
    more = f" (and {len(lines) - _SHOWN} more)" if len(lines) > _SHOWN else ""
    return {"status": "warning", "detail": f"{what}: {reasons}{more}. See {_status_of(publisher)}."}


def _status_of(publisher: ConfigPublisher) -> str:
    first = publisher.name == DEFAULT_GATEWAY
    return "/api/tensorzero/status" if first else f"/api/gateways/{quote(publisher.name, safe='')}/status"


@router.get("/metrics", summary="Get Prometheus metrics", response_class=Response, responses=responses(401, 403))
async def metrics(request: Request, state: CurrentApp) -> Response:
    """For Prometheus. Needs MODEL_REGISTRY_METRICS_TOKEN or an admin key where that is set, else what reads need."""
    await state.authenticator.require_metrics(request)
    return Response(generate_latest(state.metrics.collected), headers=NOT_KEPT, media_type=CONTENT_TYPE_LATEST)
