"""`GET /metrics`: what Prometheus scrapes. The instruments are in `api/metrics.py`."""

from __future__ import annotations

from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.responses import Response

from model_registry.api.app_state import CurrentApp
from model_registry.api.guarded_route import GuardedRoute
from model_registry.api.problems import responses

router = APIRouter(tags=["operations"], route_class=GuardedRoute)


@router.get("/metrics", summary="Get Prometheus metrics", response_class=Response, responses=responses(401, 403))
async def metrics(request: Request, state: CurrentApp) -> Response:
    """For Prometheus. Needs MODEL_REGISTRY_METRICS_TOKEN or an admin key where that is set, else what reads need."""
    await state.authenticator.require_metrics(request.headers)
    headers = {"Cache-Control": "no-store"}
    return Response(generate_latest(state.metrics.collected), headers=headers, media_type=CONTENT_TYPE_LATEST)
