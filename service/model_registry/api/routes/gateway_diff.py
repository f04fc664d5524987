"""`/api/gateways/{gateway}/diff`: what differs between two revisions of a gateway's configuration.

The same at `/api/tensorzero/diff`.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Literal

from fastapi import Query, Request
from pydantic import BaseModel, Field
from starlette.responses import PlainTextResponse, Response

from model_registry.api.app_state import AppState, CurrentApp
from model_registry.api.auth import NEEDS_KEY, KeyHolder
from model_registry.api.cached_responses import JSON
from model_registry.api.gateways.named_gateway import GatewayRoutes, Named, NamedGateway
from model_registry.api.long_work import while_there
from model_registry.api.problems import responses
from model_registry.api.routes.history import LARGEST, AuthorView, ChangedRow, counts
from model_registry.entities.gateway import Gateway
from model_registry.errors import NothingAccepted
from model_registry.gateways.bundle import files_diff
from model_registry.gateways.scope import carried_difference
from model_registry.snapshot.snapshot import Snapshot
from model_registry.store.history import Author
from model_registry.store.json_bytes import json_bytes

_routes = GatewayRoutes(tag="history")
ROUTERS = _routes.routers

TEXT = "text/plain"


Compared = Annotated[int, Field(ge=0, le=LARGEST)] | Literal["served", "latest"]
"""A revision, or what gateways get now, or the newest."""


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


@_routes.add(
    "GET",
    "/diff",
    summary="Compare two revisions of a gateway's configuration",
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
    named: Named,
    from_: Annotated[Compared, Query(alias="from", examples=[56])],
    to: Annotated[Compared, Query(examples=[57])],
    format: Annotated[  # noqa: A002 (the URL's word)
        Literal["json", "text"] | None, Query(description="Response format; by default chosen by `Accept`.")
    ] = None,
) -> Response:
    """JSON: each row of what the gateway carries that was added, removed or changed, with the writes in between.

    Text: a unified diff of the gateway's files. `from` may be newer than `to`; either is a revision, `served`, which is
    what gateways get now, or `latest`, which is the newest, accepted or not.
    """
    gateway = named.gateway()
    as_text = format == "text" or (format is None and _wants_text(request))
    sides = _revision(state, gateway, from_), _revision(state, gateway, to)
    return await while_there(request, _compared(state, gateway, *sides, as_text=as_text))


def _revision(state: AppState, gateway: NamedGateway, asked: Compared) -> int:
    if asked == "latest":
        return state.registry.snapshot.revision
    if asked != "served":
        return asked
    if (served := gateway.publisher.delivery.served) is None:
        raise NothingAccepted(f"Nothing is served to {gateway.row.name} yet.")
    return served.revision


async def _compared(state: AppState, gateway: NamedGateway, from_: int, to: int, *, as_text: bool) -> Response:
    before, after = await state.history.at(from_), await state.history.at(to)
    if as_text:
        return PlainTextResponse(await state.work.history.go_on(text_diff, gateway, before, after))
    authors = await state.history.authors(*sorted((before.revision, after.revision)))
    body = await state.work.history.go_on(_difference_body, gateway.row, before, after, authors)
    return Response(body, media_type=JSON)


def text_diff(gateway: NamedGateway, before: Snapshot, after: Snapshot) -> str:
    """Return the difference of a gateway's files at two revisions, as `diff -u` shows it."""
    old, new = gateway.rendered_at(before, after)
    labels = (f"revision {before.revision}", f"revision {after.revision}")
    return files_diff(old.files, new.files, labels, gateway.kind.main_file)


def _difference_body(
    gateway: Gateway, before: Snapshot, after: Snapshot, authors: dict[tuple[str, str], list[Author]]
) -> bytes:
    changes = carried_difference(gateway, before, after)
    items = [
        asdict(change) | {"writes": [asdict(author) for author in authors.get((change.table, change.id), [])]}
        for change in changes
    ]
    return json_bytes({"from": before.revision, "to": after.revision, **counts(changes), "items": items})


def _wants_text(request: Request) -> bool:
    accepted = [part.partition(";")[0].strip().lower() for part in request.headers.get("accept", "").split(",")]
    return TEXT in accepted and JSON not in accepted
