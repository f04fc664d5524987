"""`/api/events`: messages of nodes that were rejected."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel
from starlette.responses import Response

from model_registry.api.app_state import CurrentApp
from model_registry.api.auth import NEEDS_KEY, KeyHolder
from model_registry.api.guarded_route import GuardedRoute
from model_registry.api.parameters import Offset
from model_registry.api.problems import responses
from model_registry.api.responses import JSON
from model_registry.entities.secret_values import masked_value
from model_registry.store.json_bytes import json_bytes

router = APIRouter(prefix="/api/events", tags=["deployments"], route_class=GuardedRoute)


class RejectedEventView(BaseModel):
    """A message that was rejected."""

    id: int
    received_at: str
    subject: str
    reason: str
    payload: str
    """The first 2 KiB of the message, as text."""


class RejectedEventList(BaseModel):
    """A page of rejected messages."""

    items: list[RejectedEventView]
    count: int


@router.get(
    "/rejected",
    summary="List rejected messages of GPU nodes, newest first",
    operation_id="list_rejected_events",
    openapi_extra=NEEDS_KEY,
    responses={200: {"model": RejectedEventList}, **responses(401, 403, 422, 503)},
)
async def list_rejected_events(
    state: CurrentApp,
    _caller: KeyHolder,
    limit: Annotated[int, Query(ge=1, le=1000, description="Maximum number of messages.")] = 100,
    offset: Offset = 0,
) -> Response:
    """Rejected by any replica. The newest 1,000 are kept; each is also published on `mesh.gpu.rejected.v1`."""
    page = await state.history.rejected_events(limit=limit, offset=offset)
    page, _ = masked_value(page)  # what was kept before it was masked, or written by others
    return Response(json_bytes(page), headers={"Cache-Control": "no-store"}, media_type=JSON)
