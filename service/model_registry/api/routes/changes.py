"""`/api/changes`: the change log, newest last, paged by revision."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel
from starlette.responses import Response

from model_registry.api.app_state import CurrentApp
from model_registry.api.auth import NEEDS_KEY, KeyHolder
from model_registry.api.guarded_route import GuardedRoute
from model_registry.api.problems import responses
from model_registry.api.responses import JSON
from model_registry.selection.list_filters import check_change_filters
from model_registry.snapshot.lookup import as_uuid
from model_registry.store.json_bytes import json_bytes

router = APIRouter(prefix="/api/changes", tags=["changes"], route_class=GuardedRoute)


class ChangeView(BaseModel):
    """One change of one row."""

    revision: int
    at: str
    actor: str
    table: str
    row_id: str
    operation: Literal["insert", "update", "delete"]
    before: dict[str, Any] | None
    after: dict[str, Any] | None


class ChangePage(BaseModel):
    """A page of the change log."""

    items: list[ChangeView]
    count: int | None
    """Number of changes that match the filters; null (not counted) beyond 1,000."""
    next_after: int | None
    """`after` of the next page; null on the last page."""


@router.get(
    "",
    summary="List changes, oldest first, with time and author",
    operation_id="list_changes",
    openapi_extra=NEEDS_KEY,
    responses={200: {"model": ChangePage}, **responses(401, 403, 422, 503)},
)
async def list_changes(
    state: CurrentApp,
    _caller: KeyHolder,
    after: Annotated[int, Query(ge=0, le=2**62, description="Only changes after this revision.")] = 0,
    table: Annotated[
        str | None, Query(max_length=64, description="Only changes of this table.", examples=["models"])
    ] = None,
    row_id: Annotated[str | None, Query(max_length=64, description="Only changes of this row.")] = None,
    limit: Annotated[int, Query(ge=1, le=1000, description="Maximum number of changes.")] = 100,
) -> Response:
    """Read from the database: the change log is not part of the snapshot."""
    check_change_filters(table, row_id)
    page = await state.history.changes(after=after, table=table, row_id=row_id and as_uuid(row_id), limit=limit)
    return Response(json_bytes(page), media_type=JSON)
