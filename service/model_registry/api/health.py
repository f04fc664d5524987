"""`/healthz` and `/readyz`: whether the process lives, and how each thing it depends on is. No secrets in either."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel
from starlette.responses import Response

from model_registry.api.guarded_route import GuardedRoute
from model_registry.api.responses import JSON
from model_registry.api.state import Service
from model_registry.store.json_bytes import json_bytes

router = APIRouter(tags=["operations"], route_class=GuardedRoute)


class Health(BaseModel):
    """The process answers."""

    status: Literal["ok"]


class Dependency(BaseModel):
    """One thing the service depends on."""

    status: Literal["ok", "degraded", "down", "off"]
    detail: str


class Readiness(BaseModel):
    """Whether requests should be sent here."""

    status: Literal["ready", "degraded", "not ready"]
    revision: int | None
    dependencies: dict[str, Dependency]


@router.get("/healthz", summary="The process is alive", responses={200: {"model": Health}})
async def healthz() -> Response:
    """Depends on nothing: a database that is away is no reason to restart the service."""
    return Response(b'{"status":"ok"}', media_type=JSON)


@router.get(
    "/readyz", summary="Each dependency by name", responses={200: {"model": Readiness}, 503: {"model": Readiness}}
)
async def readyz(service: Service) -> Response:
    """503 only while there is nothing to answer from. Degraded: reads go on, something else does not."""
    registry = service.registry
    parts = {"database": _database(service), "nats": _nats(service), "fleet": _fleet(service)}
    down = any(part["status"] in ("down", "degraded") for part in parts.values())
    status = "not ready" if not registry.loaded else "degraded" if down else "ready"
    revision = registry.snapshot.revision if registry.loaded else None
    body = json_bytes({"status": status, "revision": revision, "dependencies": parts})
    return Response(body, 200 if registry.loaded else 503, media_type=JSON)


def _database(service: Service) -> dict[str, str]:
    registry = service.registry
    if registry.last_error is None:
        return {"status": "ok", "detail": "answers"}
    stale = registry.stale_seconds()
    since = "" if stale is None else f" Reads are answered from a snapshot that is {int(stale)} s old."
    return {"status": "down", "detail": registry.last_error + since}


def _nats(service: Service) -> dict[str, str]:
    if service.events is None:
        return {
            "status": "off",
            "detail": "NATS_URL is not set: no GPU events; other replicas' writes are seen by polling.",
        }
    status, detail = service.events.health()
    return {"status": status, "detail": detail}


def _fleet(service: Service) -> dict[str, str]:
    if service.silence is None:
        return {"status": "off", "detail": "Without NATS no node is heard, and none is taken for lost."}
    status, detail = service.silence.health()
    return {"status": status, "detail": detail}
