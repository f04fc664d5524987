"""`/api/models/select`: the best models for a request, and why."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from model_registry.api.app_state import CurrentApp
from model_registry.api.auth import READ_WITH_BODY, Reader
from model_registry.api.guarded_route import QUESTION_BYTES, GuardedRoute, body_limit
from model_registry.api.problems import responses
from model_registry.api.responses import JSON
from model_registry.selection.request import SelectionRequest
from model_registry.selection.select import Selection, select
from model_registry.store.json_bytes import json_bytes

router = APIRouter(prefix="/api/models", tags=["models"], route_class=GuardedRoute)


@router.post(
    "/select",
    summary="Select the best models for a request, with reasons",
    operation_id="select_models",
    openapi_extra=READ_WITH_BODY,
    responses={200: {"model": Selection}, **responses(401, 422, 503)},
)
@body_limit(QUESTION_BYTES)
async def select_models(asked: SelectionRequest, state: CurrentApp, _caller: Reader) -> Response:
    """Returns models that meet all constraints, best first, each with the parts of its score. Only reads.

    Excluded models are counted by constraint, and the first of them listed with their reasons.
    """
    snapshot = state.registry.snapshot
    return Response(json_bytes(select(snapshot, state.indexes.of(snapshot), asked)), media_type=JSON)
