"""`/api/sources`: what is asked again and again for models, how it answers, and asking it now."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from model_registry.api.app_state import CurrentApp
from model_registry.api.auth import Reader
from model_registry.api.cached_responses import etag_of, json_response
from model_registry.api.guarded_route import GuardedRoute
from model_registry.api.problems import responses
from model_registry.api.resource import Limit, Offset, add_row_routes, page, paginate
from model_registry.catalog.resources import SOURCE
from model_registry.catalog.source_views import SourceView, source_view
from model_registry.snapshot.lookup import find_source
from model_registry.store.json_bytes import json_bytes

router = APIRouter(prefix="/api/sources", tags=["sources"], route_class=GuardedRoute)

_NOT_KEPT = {"Cache-Control": "no-store"}
"""When a source was asked moves without a change of revision."""


@router.get(
    "",
    summary="List sources with their last answers, ordered by name",
    operation_id="list_sources",
    responses={200: {"model": page("SourceList", SourceView)}, **responses(401, 422, 503)},
)
async def list_sources(state: CurrentApp, _caller: Reader, limit: Limit = None, offset: Offset = 0) -> Response:
    """All sources. The times at which they were asked are at most a few seconds old."""
    snapshot = state.registry.snapshot
    clocks = (await state.heartbeats.now()).sources
    rows = list(snapshot.sources)
    items = [source_view(snapshot, row, clocks.get(row.id)) for row in paginate(rows, limit, offset)]
    return json_response({"items": items, "count": len(rows)}, headers=_NOT_KEPT)


@router.get(
    "/{reference:path}",
    summary="Get a source by id or name, with its last answer",
    operation_id="get_source",
    responses={200: {"model": SourceView}, **responses(401, 404, 503)},
)
async def get_source(reference: str, state: CurrentApp, _caller: Reader) -> Response:
    """The ETag is for `If-Match`: it changes with the source and its answers, not with every question."""
    snapshot = state.registry.snapshot
    source = find_source(snapshot, reference)
    clock = (await state.heartbeats.now()).sources.get(source.id)
    headers = {"ETag": etag_of(json_bytes(source_view(snapshot, source))), **_NOT_KEPT}
    return json_response(source_view(snapshot, source, clock), headers=headers)


add_row_routes(router, SOURCE, read=False)
