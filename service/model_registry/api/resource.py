"""The six routes that every noun has: list excepted, they are the same for all. Lists have filters of their own.

No `from __future__ import annotations` here: FastAPI reads the annotations, and the body's type is a variable.
"""

import contextlib
import dataclasses
import uuid
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from fastapi import APIRouter, Request
from pydantic import BaseModel, create_model
from starlette.responses import Response

from model_registry.api.auth import Administrator, Caller, Reader
from model_registry.api.problems import responses
from model_registry.api.responses import answer, expect_match, single
from model_registry.api.state import Service, State
from model_registry.catalog import nouns
from model_registry.catalog.nouns import Noun
from model_registry.catalog.snapshot import Snapshot
from model_registry.entities.change import Operation
from model_registry.errors import Conflict, NotFound, PreconditionFailed, StorageError, UnknownReference
from model_registry.store.json_bytes import json_bytes

T = TypeVar("T")

JOINED = {
    "model_providers": ("model_providers",),
    "model_categories": ("model_categories",),
    "models": ("models", "model_providers", "model_aliases"),
    "model_aliases": ("model_aliases", "models"),
    "functions": ("functions",),
    "service_model_mappings": ("service_model_mappings", "models", "model_aliases", "model_providers", "functions"),
}
"""Which tables a noun's view is made of: when none of them changes, neither does the answer."""

FILTERED_MODELS = (*JOINED["models"], "model_categories")
"""What a filtered list of models is made of: a category that is none is refused."""

_STALE = (NotFound, UnknownReference, PreconditionFailed, Conflict)
"""What a look at the database may settle: another replica may have written a moment ago."""


def page(name: str, shape: type[BaseModel]) -> type[BaseModel]:
    """The documented shape of a list."""
    return create_model(name, items=(list[shape], ...), count=(int, ...))  # type: ignore[valid-type]


async def rows(
    request: Request, snapshot: Snapshot, noun: Noun, found: Sequence[Any], limit: int | None, offset: int
) -> Response:
    """A page of rows, with the number of all."""
    part = cut(found, limit, offset)
    return await shown(request, snapshot, part, lambda row: noun.view(snapshot, row), len(found), JOINED[noun.table])


async def shown(
    request: Request,
    snapshot: Snapshot,
    part: Sequence[T],
    view: Callable[[T], Any],
    count: int,
    tables: Iterable[str],
) -> Response:
    """A list that may be long: made while others are answered."""
    service: State = request.app.state.service

    def make() -> bytes:
        return json_bytes({"items": [view(row) for row in part], "count": count})

    return answer(request, snapshot, await service.work.listed(request, len(part), make), tables=tables)


def row(request: Request, snapshot: Snapshot, noun: Noun, found: Any) -> Response:  # noqa: ANN401 (a row of any noun)
    """One row."""
    return answer(request, snapshot, json_bytes(noun.view(snapshot, found)), tables=JOINED[noun.table])


def listed(request: Request, snapshot: Snapshot, items: Sequence[Any], count: int, tables: Iterable[str]) -> Response:
    """A list as every list of the registry looks."""
    return answer(request, snapshot, json_bytes({"items": items, "count": count}), tables=tables)


def cut(found: Sequence[T], limit: int | None, offset: int) -> Sequence[T]:
    """The rows of a page."""
    return found[offset:] if limit is None else found[offset : offset + limit]


async def settled(service: State, edit: Callable[[Snapshot], T]) -> T:
    """Plan an edit; when the snapshot speaks against it, look at the database once and plan again."""
    try:
        return edit(service.registry.snapshot)
    except _STALE:
        await service.registry.refresh()
        return edit(service.registry.snapshot)


def partial(body: type[BaseModel]) -> type[BaseModel]:
    """The documented shape of a PATCH: every field of the body, none needed."""
    fields: dict[str, Any] = {
        name: (field.annotation, field.default if not field.is_required() else None)
        for name, field in body.model_fields.items()
    }
    return create_model(f"{body.__name__.removesuffix('Body')}Change", **fields)


def add_row_routes(router: APIRouter, noun: Noun, *, read: bool = True) -> None:
    """Give a noun its POST, GET, PUT, PATCH and DELETE. `read=False`: the noun's GET of one row is special."""
    shape: Any = {"model": noun.view_shape}
    _add_create(router, noun, shape)
    if read:
        _add_read(router, noun, shape)
    _add_replace(router, noun, shape)
    _add_change(router, noun, shape)
    _add_delete(router, noun)


def _add_create(router: APIRouter, noun: Noun, shape: Any) -> None:  # noqa: ANN401 (a piece of OpenAPI)
    body_type: Any = noun.body

    @router.post(
        "",
        status_code=201,
        summary=f"Add {noun.one}",
        operation_id=f"create_{noun.name}",
        responses={201: shape, **responses(401, 403, 409, 422, 503)},
    )
    async def create(body: body_type, service: Service, caller: Administrator) -> Response:
        row_id = str(uuid.uuid4())
        await _write(service, lambda s: nouns.insert(noun, s, body, row_id), caller)
        return _written(service, noun, row_id, 201)


def _add_read(router: APIRouter, noun: Noun, shape: Any) -> None:  # noqa: ANN401
    @router.get(
        "/{reference:path}",
        summary=f"One {noun.name}, by id or name",
        operation_id=f"get_{noun.name}",
        responses={200: shape, **responses(401, 404, 409, 503)},
    )
    async def read(request: Request, reference: str, service: Service, _caller: Reader) -> Response:
        snapshot = service.registry.snapshot
        return row(request, snapshot, noun, noun.find(snapshot, reference))


def _add_replace(router: APIRouter, noun: Noun, shape: Any) -> None:  # noqa: ANN401
    body_type: Any = noun.body

    @router.put(
        "/{reference:path}",
        summary=f"Replace {noun.one}",
        operation_id=f"replace_{noun.name}",
        responses={200: shape, **responses(401, 403, 404, 409, 412, 422, 503)},
    )
    async def replace(
        request: Request, reference: str, body: body_type, service: Service, caller: Administrator
    ) -> Response:
        def edit(snapshot: Snapshot) -> Operation:
            row = _found(request, noun, snapshot, reference)
            return _guarded(request, nouns.replace(noun, snapshot, row, body))

        return _written(service, noun, await _write(service, edit, caller), 200)


def _add_change(router: APIRouter, noun: Noun, shape: Any) -> None:  # noqa: ANN401
    partial_type: Any = partial(noun.body)

    @router.patch(
        "/{reference:path}",
        summary=f"Change some fields of {noun.one}",
        operation_id=f"change_{noun.name}",
        responses={200: shape, **responses(401, 403, 404, 409, 412, 422, 503)},
    )
    async def change(
        request: Request, reference: str, body: partial_type, service: Service, caller: Administrator
    ) -> Response:
        fields = body.model_dump(exclude_unset=True)

        def edit(snapshot: Snapshot) -> Operation:
            row = _found(request, noun, snapshot, reference)
            return _guarded(request, nouns.change(noun, snapshot, row, fields))

        return _written(service, noun, await _write(service, edit, caller), 200)


def _add_delete(router: APIRouter, noun: Noun) -> None:
    @router.delete(
        "/{reference:path}",
        status_code=204,
        summary=f"Delete {noun.one} that nobody refers to",
        operation_id=f"delete_{noun.name}",
        responses=responses(401, 403, 404, 409, 412, 503),
    )
    async def delete(request: Request, reference: str, service: Service, caller: Administrator) -> Response:
        def edit(snapshot: Snapshot) -> Operation:
            return _guarded(request, nouns.delete(noun, snapshot, _found(request, noun, snapshot, reference)))

        await _write(service, edit, caller)
        return Response(status_code=204)


def _guarded(request: Request, operation: Operation) -> Operation:
    """Only who sent If-Match wants to be refused when someone else was quicker."""
    return operation if "if-match" in request.headers else dataclasses.replace(operation, version=None)


def _found(request: Request, noun: Noun, snapshot: Snapshot, reference: str) -> Any:  # noqa: ANN401 (a row of any noun)
    """The row that is to be changed, as the caller last saw it."""
    row = noun.find(snapshot, reference)
    expect_match(request, noun.view(snapshot, row))
    return row


async def _write(service: State, edit: Callable[[Snapshot], Operation], caller: Caller) -> str:
    """Plan an edit and do it; answers the row's id."""
    operation = await settled(service, edit)
    try:
        await service.registry.write([operation], actor=caller.name)
    except _STALE:
        # Someone was quicker than our snapshot. The plan for what they left says best what is in the way; and the
        # caller, who will now look at the row, finds it as it is.
        with contextlib.suppress(StorageError):
            await service.registry.refresh()
            edit(service.registry.snapshot)
        raise
    return operation.id


def _written(service: State, noun: Noun, row_id: str, status: int) -> Response:
    snapshot = service.registry.snapshot
    row = noun.find(snapshot, row_id)
    headers = {"Location": f"/api/{noun.plural}/{row_id}"} if status == 201 else None  # noqa: PLR2004
    return single(noun.view(snapshot, row), status, headers)
