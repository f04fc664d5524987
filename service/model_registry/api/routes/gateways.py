"""`/api/gateways`: the programs that take requests for models, and what each carries."""

from __future__ import annotations

import contextlib

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from model_registry.api.app_state import CurrentApp
from model_registry.api.auth import Reader
from model_registry.api.guarded_route import GuardedRoute
from model_registry.api.problems import responses
from model_registry.api.resource import WITHOUT_SLASH, Limit, Offset, add_row_routes, page, rows
from model_registry.api.routes.history import LARGEST
from model_registry.catalog.resources import GATEWAY
from model_registry.entities.gateway import Gateway


async def _pin_exists(request: Request, state: CurrentApp) -> None:
    """Refuse a write that pins a gateway to what the log has not. Errors: RevisionNotFound, RevisionGone."""
    if request.method in {"POST", "PUT", "PATCH"}:
        with contextlib.suppress(ValueError):  # no JSON: refused elsewhere
            body = await request.json()
            pinned = body.get("pinned_revision") if isinstance(body, dict) else None
            if isinstance(pinned, int) and 0 <= pinned <= LARGEST:
                await state.history.at(pinned)


router = APIRouter(
    prefix="/api/gateways", tags=["gateways"], route_class=GuardedRoute, dependencies=[Depends(_pin_exists)]
)


@router.get(
    "",
    summary="List gateways, ordered by name",
    operation_id="list_gateways",
    responses={200: {"model": page("GatewayList", Gateway)}, **responses(401, 422, 429, 503)},
)
async def list_gateways(
    request: Request, state: CurrentApp, _caller: Reader, limit: Limit = None, offset: Offset = 0
) -> Response:
    """All gateways."""
    snapshot = state.registry.snapshot
    return await rows(request, snapshot, GATEWAY, list(snapshot.gateways), limit, offset)


add_row_routes(router, GATEWAY, path=WITHOUT_SLASH)
