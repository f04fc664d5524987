"""`/rest/v1`: the catalogue for programs that read it from PostgREST or Supabase, answered from the snapshot."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from model_registry.api.app_state import AppState, CurrentApp
from model_registry.api.auth import READ_WITH_BODY, AnyReader
from model_registry.api.cached_responses import JSON
from model_registry.api.guarded_route import QUESTION_BYTES, GuardedRoute, body_limit
from model_registry.api.problems import responses
from model_registry.catalog.rest_functions import FUNCTIONS, Function
from model_registry.catalog.rest_query import CONTROLS, queried
from model_registry.catalog.rest_rows import TABLES, VIEWS, rest_rows
from model_registry.catalog.views import View
from model_registry.entities.spelling import suggestion
from model_registry.errors import NotFound
from model_registry.snapshot.snapshot import Snapshot
from model_registry.store.json_bytes import json_bytes

router = APIRouter(prefix="/rest/v1", tags=["compatibility"], route_class=GuardedRoute)

_NAMES = (*VIEWS, *TABLES)
_ROWS: Any = {200: {"model": list[dict[str, Any]]}, **responses(401, 404, 422, 429, 503)}
_ONE_ROW = "application/vnd.pgrst.object+json"
_RANGE = re.compile(r"([0-9]{1,10})-([0-9]{0,10})")


@router.get(
    "/{name}",
    summary="Read a view or a table of the catalogue as PostgREST does",
    operation_id="read_rest_rows",
    responses=_ROWS,
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
    return await _answer(request, state, lambda: queried(rest_rows(snapshot, name) or [], query), query)


@router.get(
    "/rpc/{name}",
    summary="Call a function of the catalogue as PostgREST does",
    operation_id="call_rest_function",
    responses=_ROWS,
)
async def call_with_query(request: Request, name: str, state: CurrentApp, _caller: AnyReader) -> Response:
    """Takes the function's arguments as parameters, and beside them what views take."""
    return await _called(request, state, _function(name), [])


@router.post(
    "/rpc/{name}",
    summary="Call a function of the catalogue as PostgREST does, with its arguments as JSON",
    operation_id="call_rest_function_with_json",
    responses=_ROWS,
    openapi_extra=READ_WITH_BODY,
)
@body_limit(QUESTION_BYTES)
async def call_with_json(
    request: Request, name: str, state: CurrentApp, _caller: AnyReader, arguments: dict[str, Any]
) -> Response:
    """The query takes what views take: `select`, `order`, conditions, `limit`, `offset`."""
    return await _called(request, state, _function(name), [*arguments.items()])


def _function(name: str) -> Function:
    if name not in FUNCTIONS:
        message = f"There is no function {name!r} here; {suggestion(name, FUNCTIONS)}."
        raise NotFound(message, allowed=list(FUNCTIONS))
    return FUNCTIONS[name]


async def _called(
    request: Request, state: AppState, function: Function, arguments: list[tuple[str, object]]
) -> Response:
    query, of_rows = request.query_params.multi_items(), {*CONTROLS, *function.columns}
    given = function.checked([*arguments, *(term for term in query if term[0] not in of_rows)])
    snapshot, query = state.registry.snapshot, [*(term for term in query if term[0] in of_rows), *_range(request)]
    return await _answer(
        request, state, lambda: queried(function.rows(snapshot, given), query, function.columns), query
    )


async def _answer(
    request: Request, state: AppState, find: Callable[[], tuple[list[View], int]], query: list[tuple[str, str]]
) -> Response:
    snapshot = state.registry.snapshot

    def make() -> tuple[bytes, int, int]:
        found, count = find()
        return json_bytes(found), len(found), count

    body, shown, count = await state.work.listed(request, looks(snapshot, query), make)
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


def looks(snapshot: Snapshot, query: list[tuple[str, str]]) -> int:
    """How many rows are looked at, at most, each as often as a condition or a column of the query does."""
    terms = sum(1 + (value.count(",") if name == "order" else 0) for name, value in query)
    return max(len(snapshot.tables[name]) for name in TABLES) * (1 + terms)


def _range(request: Request) -> list[tuple[str, str]]:
    """The page that a Range header names, as parameters: `0-9` are ten rows."""
    match = _RANGE.fullmatch(request.headers.get("range", ""))
    if match is None or {"limit", "offset"} & request.query_params.keys():
        return []
    page = [("offset", match[1])]
    return [*page, ("limit", str(int(match[2]) - int(match[1]) + 1))] if match[2] else page
