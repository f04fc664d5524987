"""`/api/sources`: what is asked again and again for models, how it answers, and asking it now."""

from __future__ import annotations

from typing import Annotated, NoReturn

from fastapi import APIRouter, Depends, HTTPException, Query, Request
from pydantic import Field
from starlette.responses import Response

from model_registry.api.app_state import CurrentApp
from model_registry.api.auth import DryRun, Importer, Reader
from model_registry.api.cached_responses import JSON, NOT_KEPT, etag_of, json_response
from model_registry.api.guarded_route import GuardedRoute
from model_registry.api.long_work import while_there
from model_registry.api.problems import responses
from model_registry.api.resource import Limit, Offset, add_row_routes, page, paginate
from model_registry.api.routes.model_import import OffersAnswer, report_answer
from model_registry.catalog.resources import SOURCE
from model_registry.catalog.sources import SourceView, source_view
from model_registry.errors import SourceUnreadable
from model_registry.snapshot.lookup import find_source
from model_registry.store.json_bytes import json_bytes

router = APIRouter(prefix="/api/sources", tags=["sources"], route_class=GuardedRoute)


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
    return json_response({"items": items, "count": len(rows)}, headers=NOT_KEPT)


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
    headers = {"ETag": etag_of(json_bytes(source_view(snapshot, source))), **NOT_KEPT}
    return json_response(source_view(snapshot, source, clock), headers=headers)


Wait = Annotated[float, Query(ge=0, le=600, description="Seconds to wait. The source is asked to the end.")]


class RefreshAnswer(OffersAnswer):
    """What the answer of a source did, or would do."""

    asking: bool = Field(default=False, description="It has not answered yet: look at the source later.")


@router.post(
    "/{reference:path}/refresh",
    summary="Ask a source now",
    operation_id="refresh_source",
    responses={
        200: {"model": RefreshAnswer},
        202: {"model": RefreshAnswer, "description": "It is still being asked"},
        **responses(401, 403, 404, 422, 429, 502, 503),
    },
)
async def refresh_source(
    request: Request, reference: str, state: CurrentApp, caller: Importer, wait: Wait = 60.0, dry_run: DryRun = False
) -> Response:
    """Reads the whole answer anew, also if it is equal to the last one. An inactive source is asked too.

    A source that does not answer is 502, with the reason; it is recorded, as always.
    """
    source = find_source(state.registry.snapshot, reference)
    if dry_run:
        written = await while_there(request, state.discovery.look(source))
    else:
        refreshed = await state.discovery.refresh(source, caller.name, wait)
        if refreshed is None:
            nothing = {"dry_run": False, "revision": state.registry.snapshot.revision, "report": [], "asking": True}
            return json_response(nothing, 202)
        written = refreshed
    if written.answer.error is not None:
        raise SourceUnreadable(f"The source {source.name!r} {_clause(written.answer.error)}")
    plan = written.plan
    answer = await state.work.parsing.go_on(
        report_answer, plan.report, plan.operations, dry_run=dry_run, revision=written.revision
    )
    return Response(answer, media_type=JSON)


async def _only_post() -> NoReturn:
    """A dependency, so that it comes before what else may be wrong with a request."""
    raise HTTPException(405, headers={"Allow": "POST"})


_QUESTION = "/{reference:path}/refresh"


@router.get(_QUESTION, dependencies=[Depends(_only_post)], include_in_schema=False)
async def refuse_to_read_a_question(_caller: Reader) -> None:
    """Keep the path from matching a source with such a name, which must be read by its id."""


@router.api_route(
    _QUESTION, methods=["PUT", "PATCH", "DELETE"], dependencies=[Depends(_only_post)], include_in_schema=False
)
async def refuse_to_edit_a_question(_caller: Importer) -> None:
    """As `refuse_to_read_a_question`, for writes."""


def _clause(error: str) -> str:
    """The error after the name of its source."""
    return error if error.startswith(("has ", "cannot ")) else f"cannot be read: {error}"


add_row_routes(router, SOURCE, read=False)
