"""`/api/costs`: the cost of requests."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from model_registry.api.app_state import CurrentApp
from model_registry.api.auth import READ_WITH_BODY, Reader
from model_registry.api.guarded_route import QUESTION_BYTES, GuardedRoute, body_limit
from model_registry.api.problems import responses
from model_registry.api.responses import JSON
from model_registry.selection.costs import EstimateRequest, Estimates, estimates
from model_registry.store.json_bytes import json_bytes

router = APIRouter(prefix="/api/costs", tags=["models"], route_class=GuardedRoute)


@router.post(
    "/estimate",
    summary="Estimate the cost of requests at several models",
    operation_id="estimate_costs",
    openapi_extra=READ_WITH_BODY,
    responses={200: {"model": Estimates}, **responses(401, 404, 422, 503)},
)
@body_limit(QUESTION_BYTES)
async def estimate_costs(asked: EstimateRequest, state: CurrentApp, _caller: Reader) -> Response:
    """Exact to the last digit, cheapest model first. Models without a known price are listed separately."""
    snapshot = state.registry.snapshot
    return Response(json_bytes(estimates(snapshot, state.indexes.of(snapshot), asked)), media_type=JSON)
