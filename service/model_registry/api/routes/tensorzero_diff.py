"""`/api/tensorzero/diff`: what differs between two revisions of the configuration."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import PlainTextResponse, Response

from model_registry.api.app_state import AppState, CurrentApp
from model_registry.api.auth import NEEDS_KEY, KeyHolder
from model_registry.api.cached_responses import JSON
from model_registry.api.guarded_route import GuardedRoute
from model_registry.api.long_work import while_there
from model_registry.api.problems import responses
from model_registry.api.routes.history import LARGEST, AuthorView, ChangedRow, counts
from model_registry.gateways.tensorzero.rendering.bundle import configuration_diff
from model_registry.snapshot.difference import difference
from model_registry.snapshot.snapshot import Snapshot
from model_registry.store.history import Author
from model_registry.store.json_bytes import json_bytes

tensorzero_diff = APIRouter(prefix="/api", tags=["history"], route_class=GuardedRoute)
ROUTERS = (tensorzero_diff,)

TEXT = "text/plain"


class DifferenceEntry(ChangedRow):
    """A row that differs between the two revisions, with the writes in between."""

    writes: list[AuthorView]


class DifferenceView(BaseModel):
    """The differences between two revisions of the configuration."""

    from_: int = Field(alias="from")
    to: int
    added: int
    removed: int
    changed: int
    items: list[DifferenceEntry]


@tensorzero_diff.get(
    "/tensorzero/diff",
    summary="Compare two revisions of the configuration",
    operation_id="diff_tensorzero",
    openapi_extra=NEEDS_KEY,
    responses={
        200: {"model": DifferenceView, "content": {TEXT: {"schema": {"type": "string"}}}},
        **responses(401, 403, 404, 410, 422, 429, 503),
    },
)
async def diff(
    request: Request,
    state: CurrentApp,
    _caller: KeyHolder,
    from_: Annotated[int, Query(alias="from", ge=0, le=LARGEST, examples=[56])],
    to: Annotated[int, Query(ge=0, le=LARGEST, examples=[57])],
    format: Annotated[  # noqa: A002 (the URL's word)
        Literal["json", "text"] | None, Query(description="Response format; by default chosen by `Accept`.")
    ] = None,
) -> Response:
    """JSON: each row added, removed or changed, field by field, with author and time of each write.

    Text: a unified diff of the gateway's configuration. `from` may be newer than `to`.
    """
    as_text = format == "text" or (format is None and _wants_text(request))
    return await while_there(request, _compared(state, from_, to, as_text=as_text))


async def _compared(state: AppState, from_: int, to: int, *, as_text: bool) -> Response:
    before, after = await state.history.at(from_), await state.history.at(to)
    if as_text:
        return PlainTextResponse(await state.work.history.go_on(configuration_diff, before, after))
    authors = await state.history.authors(*sorted((before.revision, after.revision)))
    return Response(await state.work.history.go_on(_difference_body, before, after, authors), media_type=JSON)


def _difference_body(before: Snapshot, after: Snapshot, authors: dict[tuple[str, str], list[Author]]) -> bytes:
    changes = difference(before, after)
    items = [
        asdict(change) | {"writes": [asdict(author) for author in authors.get((change.table, change.id), [])]}
        for change in changes
    ]
    return json_bytes({"from": before.revision, "to": after.revision, **counts(changes), "items": items})


def _wants_text(request: Request) -> bool:
    accepted = [part.partition(";")[0].strip().lower() for part in request.headers.get("accept", "").split(",")]
    return TEXT in accepted and JSON not in accepted
