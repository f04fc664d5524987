"""`/api/history` and `/api/changes`: what was written; `/api/rollback`: back to an earlier state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from model_registry.api.app_state import CurrentApp
from model_registry.api.auth import NEEDS_KEY, Administrator, DryRun, KeyHolder
from model_registry.api.cached_responses import json_response
from model_registry.api.guarded_route import GuardedRoute
from model_registry.api.long_work import while_there
from model_registry.api.problems import responses
from model_registry.api.publication import answers_publication
from model_registry.entities.change import Action
from model_registry.selection.list_filters import check_change_filters
from model_registry.snapshot.difference import RowChange
from model_registry.snapshot.lookup import as_uuid

history = APIRouter(prefix="/api", tags=["history"], route_class=GuardedRoute)
changes = APIRouter(prefix="/api/changes", tags=["changes"], route_class=GuardedRoute)
ROUTERS = (history, changes)

TEXT = "text/plain"
LARGEST = 2**62


class WriteCount(BaseModel):
    """Number of rows of a table changed by a write."""

    table: str
    operation: Action
    rows: int


class WriteView(BaseModel):
    """One write: all changes that became visible together."""

    revision: int
    at: str
    actor: str
    changes: list[WriteCount]


class WritePage(BaseModel):
    """A page of the history."""

    items: list[WriteView]
    count: int | None = Field(description="Number of all writes; null (not counted) beyond 1,000 written rows.")
    oldest: int = Field(description="Oldest revision whose state is available.")
    newest: int = Field(description="Newest revision.")
    next_before: int | None = Field(description="`before` of the next page; null on the last page.")


class AuthorView(BaseModel):
    """Author and time of a write to a row."""

    revision: int
    at: str
    actor: str
    operation: Action


class FieldChangeView(BaseModel):
    """One column, before and after."""

    field: str
    before: Any
    after: Any
    before_name: str | None = Field(description="For a column that holds an id: the name of the referenced row.")
    after_name: str | None


class ChangedRow(BaseModel):
    """A row that differs between the two revisions."""

    change: Literal["added", "removed", "changed"]
    table: str
    kind: str = Field(examples=["mapping"])
    id: str
    name: str = Field(examples=["agent_zero/chat/local"])
    fields: list[FieldChangeView]


class RollbackRequest(BaseModel):
    """The revision to restore."""

    revision: int = Field(ge=0, le=LARGEST, examples=[57])


class RollbackAnswer(BaseModel):
    """The result of a rollback, or of its dry run."""

    dry_run: bool
    restored: int = Field(description="Revision whose configuration was restored.")
    revision: int = Field(description="The registry's revision after the rollback.")
    added: int
    removed: int
    changed: int
    items: list[ChangedRow]


class ChangeView(BaseModel):
    """One change of one row."""

    revision: int
    at: str
    actor: str
    table: str
    row_id: str
    operation: Action
    before: dict[str, Any] | None
    after: dict[str, Any] | None


class ChangePage(BaseModel):
    """A page of the change log."""

    items: list[ChangeView]
    count: int | None
    """Number of changes that match the filters; null (not counted) beyond 1,000."""
    next_after: int | None
    """`after` of the next page; null on the last page."""


@history.get(
    "/history",
    summary="List writes to the configuration, newest first",
    operation_id="list_history",
    openapi_extra=NEEDS_KEY,
    responses={200: {"model": WritePage}, **responses(401, 403, 422, 503)},
)
async def list_history(
    state: CurrentApp,
    _caller: KeyHolder,
    before: Annotated[int | None, Query(ge=0, le=LARGEST, description="Only writes before this revision.")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 50,
) -> Response:
    """One entry per write. `diff`, `rollback` and `config?revision=` take its revision."""
    return json_response(await state.history.writes(before=before, limit=limit))


@history.post(
    "/rollback",
    summary="Restore the configuration of an earlier revision, as a new one",
    operation_id="rollback",
    responses={200: {"model": RollbackAnswer}, **responses(401, 403, 404, 409, 410, 422, 429, 503)},
)
@answers_publication
async def rollback(
    request: Request, body: RollbackRequest, state: CurrentApp, caller: Administrator, dry_run: DryRun = False
) -> Response:
    """Restores providers, models, aliases, functions, mappings, sections and files in one transaction; ids are kept.

    Deployments, nodes and API keys are unchanged. Refused when the gateway would refuse the result.
    """
    rollback = state.history.rollback(body.revision, actor=caller.name, dry_run=dry_run)
    done = await while_there(request, rollback) if dry_run else await rollback
    answer = {
        "dry_run": dry_run,
        "restored": done.restored,
        "revision": done.revision,
        **counts(done.changes),
        "items": [asdict(change) for change in done.changes],
    }
    return json_response(answer)


@changes.get(
    "",
    summary="List changes, oldest first, with time and author",
    operation_id="list_changes",
    openapi_extra=NEEDS_KEY,
    responses={200: {"model": ChangePage}, **responses(401, 403, 422, 503)},
)
async def list_changes(
    state: CurrentApp,
    _caller: KeyHolder,
    after: Annotated[int, Query(ge=0, le=LARGEST, description="Only changes after this revision.")] = 0,
    table: Annotated[
        str | None, Query(max_length=64, description="Only changes of this table.", examples=["models"])
    ] = None,
    row_id: Annotated[str | None, Query(max_length=64, description="Only changes of this row.")] = None,
    limit: Annotated[int, Query(ge=1, le=1000, description="Maximum number of changes.")] = 100,
) -> Response:
    """Read from the database: the change log is not part of the snapshot."""
    check_change_filters(table, row_id)
    page = await state.history.changes(after=after, table=table, row_id=row_id and as_uuid(row_id), limit=limit)
    return json_response(page)


def counts(changes: Sequence[RowChange]) -> dict[str, int]:
    """Count the rows added, removed and changed."""
    return {kind: sum(change.change == kind for change in changes) for kind in ("added", "removed", "changed")}
