"""What became of a change: a write with `?wait=` answers whether gateways get it, and if not, why.

Validation takes 20 ms to seconds, so that writes answer before its result, unless the caller asks to wait.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Awaitable, Callable, Iterable
from contextvars import ContextVar
from dataclasses import asdict
from typing import Annotated, Any, Literal, ParamSpec, cast

import orjson
from fastapi import Query
from pydantic import BaseModel, Field
from starlette.responses import Response

from model_registry.api.app_state import AppState
from model_registry.api.cached_responses import JSON
from model_registry.api.problems import ProblemReason
from model_registry.entities.base import Row
from model_registry.entities.secret_values import masked_value
from model_registry.gateways.publishing.exclusions import Exclusion, changed_rows, mentions, touched
from model_registry.gateways.publishing.publisher import ConfigPublisher
from model_registry.gateways.scope import carries
from model_registry.snapshot.snapshot import Snapshot
from model_registry.store.json_bytes import json_bytes

P = ParamSpec("P")

LONGEST_WAIT_SECONDS = 60
_MOST_ROWS = 500
"""Rows of one write whose references are looked at."""
_NO_CONTENT = 204

ResultWait = Annotated[
    float,
    Query(
        ge=0,
        le=LONGEST_WAIT_SECONDS,
        description="Wait up to this many seconds for the validation of the change, and answer its result as "
        "`publication` and in the header `X-Registry-Publication`. By default neither.",
    ),
]


class ExclusionView(BaseModel):
    """A row that the configuration is published without, because validation refuses it."""

    kind: str
    name: str
    reasons: list[ProblemReason]
    since_revision: int
    table: str
    id: str
    entry: str | None
    """The entry, if only one of a section is left out, such as a tool."""
    as_accepted: bool
    """Settings of the gateway itself: the value accepted last stays in use."""


State = Literal["published", "excluded", "refused", "pending"]


class Publication(BaseModel):
    """Whether gateways get a change.

    `published`: they do. `excluded`: but for the rows in `excluded`. `refused`: the whole configuration is held back,
    for `reasons`. `pending`: validation is still running.
    """

    state: State
    served_revision: int | None
    excluded: list[ExclusionView]
    reasons: list[ProblemReason]
    gateways: dict[str, State] = Field(
        description="The same for each gateway that the change concerns, by name. The other fields are about "
        "`tensorzero`. A pinned gateway does not get it: it is not here."
    )


_rows: ContextVar[set[str] | None] = ContextVar("rows", default=None)
"""Ids of the rows that the current request writes, collected where its answer waits for the result."""


def note_rows(ids: Iterable[str]) -> None:
    """Note the rows that the current request writes, or has found as it would write them."""
    if (collected := _rows.get()) is not None:
        collected.update(ids)


def answers_publication(endpoint: Callable[P, Awaitable[Response]]) -> Callable[P, Awaitable[Response]]:
    """Let a write take `wait`, and answer with what became of it. The endpoint has the parameter `state`."""
    signature = inspect.signature(endpoint, eval_str=True)

    @functools.wraps(endpoint)
    async def waiting(*args: P.args, **kwargs: P.kwargs) -> Response:
        seconds = cast("float", kwargs.pop("wait"))
        if not seconds or kwargs.get("dry_run"):
            return await endpoint(*args, **kwargs)
        state = cast("AppState", kwargs["state"])
        before = state.registry.snapshot
        written: set[str] = set()
        token = _rows.set(written)
        try:
            response = await endpoint(*args, **kwargs)
        finally:
            _rows.reset(token)
        return _with_publication(response, await publication(state, before, written, seconds))

    option = inspect.Parameter("wait", inspect.Parameter.KEYWORD_ONLY, default=0, annotation=ResultWait)
    parameters = [*signature.parameters.values(), option]
    waiting.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    waiting.__annotations__ = {each.name: each.annotation for each in parameters} | {"return": Response}
    return waiting


async def publication(state: AppState, before: Snapshot, written: set[str], seconds: float) -> dict[str, Any]:
    """Wait for the validation of what is newest, and answer a `Publication` about these rows.

    Args:
        state: the service.
        before: the registry before the write.
        written: ids of the rows.
        seconds: how long to wait.
    """
    publisher, snapshot = state.publisher, state.registry.snapshot
    concerned = [other for other in state.publishers if _is_concerned(other, before, snapshot, written)]
    results = await asyncio.gather(*(other.until_validated(seconds) for other in (publisher, *concerned)))
    outcomes = {
        other.name: _outcome(other, snapshot, before, written, validated=validated)[0]
        for other, validated in zip(concerned, results[1:], strict=True)
    }
    validated, delivery, refused = results[0], publisher.delivery, publisher.delivery.refused
    outcome, excluded = _outcome(publisher, snapshot, before, written, validated=validated)
    view = {
        "state": outcome,
        "gateways": outcomes,
        "served_revision": delivery.served.revision if delivery.served else None,
        "excluded": [row.view() for row in excluded] if validated else [],
        "reasons": [asdict(reason) for reason in refused.reasons] if refused and validated else [],
    }
    masked, _ = masked_value(view)
    return cast("dict[str, Any]", masked)


def _is_concerned(publisher: ConfigPublisher, before: Snapshot, after: Snapshot, written: set[str]) -> bool:
    """Whether a gateway may get something of a write: its own row, or what it carries while it follows the newest."""
    gateway, tables = publisher.gateway(after), publisher.renderer.kind.tables
    if gateway.id in written:
        return True
    if gateway.pinned_revision is not None:
        return False
    return any(
        (row := side.tables[table].get(row_id)) is not None and carries(side, gateway, row)
        for side in (before, after)
        for table in tables
        for row_id in written
    )


def _outcome(
    publisher: ConfigPublisher, snapshot: Snapshot, before: Snapshot, written: set[str], *, validated: bool
) -> tuple[State, list[Exclusion]]:
    """Return what became of a write at one gateway, and the rows of it that are left out there."""
    excluded = list(_concerning(publisher.delivery.excluded, snapshot, before, written))
    if not validated:
        return "pending", excluded
    if publisher.delivery.refused:
        return "refused", excluded
    return "excluded" if excluded else "published", excluded


def _concerning(
    excluded: Iterable[Exclusion], snapshot: Snapshot, before: Snapshot, written: set[str]
) -> Iterable[Exclusion]:
    """Yield the excluded rows that were written, are needed by rows that were written, or are refused because of them.

    Other writers may have made mistakes meanwhile: what is new and has nothing to do with these rows is theirs.
    """
    excluded = list(excluded)
    rows = [row for table in snapshot.tables.values() for row_id in written if (row := table.get(row_id)) is not None]
    needed = {name for row in rows for name in mentions(row)} if excluded and len(rows) <= _MOST_ROWS else set()
    new = [row.part for row in excluded if row.since > before.revision]
    broken = touched(snapshot, new, _written(before, snapshot, written)) if new else set()
    for row in excluded:
        if row.part.row_id in written | needed or row.part in broken:
            yield row


def _written(before: Snapshot, after: Snapshot, ids: set[str]) -> Iterable[tuple[str, Row]]:
    """Yield table and row of what was written, and of what went with it."""
    for table, row in changed_rows(before, after, after.tables):
        gone = after.tables[table].get(row.id) is None
        if row.id in ids or (gone and not ids.isdisjoint(mentions(row))):
            yield table, row


def _with_publication(response: Response, view: dict[str, Any]) -> Response:
    response.headers["X-Registry-Publication"] = view["state"]
    if response.status_code != _NO_CONTENT and response.media_type == JSON:
        body = orjson.loads(response.body)
        response.body = json_bytes(body | {"publication": view})
        response.headers["content-length"] = str(len(response.body))
    return response
