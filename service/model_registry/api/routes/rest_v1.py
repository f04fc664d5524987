"""`/rest/v1`: the catalogue for programs that read it from PostgREST or Supabase, answered from the snapshot."""

from __future__ import annotations

import re
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from model_registry.api.app_state import CurrentApp
from model_registry.api.auth import AnyReader
from model_registry.api.cached_responses import JSON
from model_registry.api.guarded_route import GuardedRoute
from model_registry.api.problems import responses
from model_registry.catalog.rest_query import queried
from model_registry.catalog.rest_rows import TABLES, VIEWS, rest_rows
from model_registry.entities.spelling import suggestion
from model_registry.errors import NotFound
from model_registry.store.json_bytes import json_bytes

router = APIRouter(prefix="/rest/v1", tags=["compatibility"], route_class=GuardedRoute)

_NAMES = (*VIEWS, *TABLES)
_ONE_ROW = "application/vnd.pgrst.object+json"
_RANGE = re.compile(r"([0-9]{1,10})-([0-9]{0,10})")


@router.get(
    "/{name}",
    summary="Read a view or a table of the catalogue as PostgREST does",
    operation_id="read_rest_rows",
    responses={200: {"model": list[dict[str, Any]]}, **responses(401, 404, 422, 429, 503)},
)
async def read_rows(request: Request, name: str, state: CurrentApp, _caller: AnyReader) -> Response:
    """A bare array, in routing order.

    Takes `select`, `order`, `limit`, `offset` (or `Range: 0-9`), conditions such as `model_type=eq.chat`,
    `Prefer: count=exact`, and `Accept: application/vnd.pgrst.object+json` for the only row.
    `Accept-Profile` may name any schema.
    """
    if name not in _NAMES:
        message = f"There is no view or table {name!r} here; {suggestion(name, _NAMES)}."
        raise NotFound(message, allowed=list(_NAMES))
    snapshot, query = state.registry.snapshot, [*request.query_params.multi_items(), *_range(request)]

    def make() -> tuple[bytes, int, int]:
        found, count = queried(rest_rows(snapshot, name) or [], query)
        return json_bytes(found), len(found), count

    body, shown, count = await state.work.listed(request, len(snapshot.models) + len(snapshot.mappings), make)
    headers = {"Cache-Control": "no-cache"}
    if "count=exact" in request.headers.get("prefer", ""):
        first = dict(query).get("offset", "0")
        headers["Content-Range"] = f"{first}-{int(first) + shown - 1}/{count}" if shown else f"*/{count}"
    if _ONE_ROW not in request.headers.get("accept", ""):
        return Response(body, 200, headers, JSON)
    if shown == 1:
        return Response(body[1:-1], 200, headers, _ONE_ROW)
    details = f"The result contains {shown} rows"
    wrong = {"code": "PGRST116", "message": "There is not exactly one row.", "details": details, "hint": None}
    return Response(json_bytes(wrong), 406, headers, JSON)


def _range(request: Request) -> list[tuple[str, str]]:
    """The page that a Range header names, as parameters: `0-9` are ten rows."""
    match = _RANGE.fullmatch(request.headers.get("range", ""))
    if match is None or {"limit", "offset"} & request.query_params.keys():
        return []
    page = [("offset", match[1])]
    return [*page, ("limit", str(int(match[2]) - int(match[1]) + 1))] if match[2] else page
