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

from model_registry.api.app_state import AppState, CurrentApp
from model_registry.api.auth import Administrator, Caller, Reader
from model_registry.api.problems import responses
from model_registry.api.responses import cached_response, expect_match, row_response
from model_registry.catalog import resources as nouns
from model_registry.catalog.resources import Resource
from model_registry.entities.change import Operation
from model_registry.errors import Conflict, NotFound, PreconditionFailed, StorageError, UnknownReference
from model_registry.snapshot.snapshot import Snapshot
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


def rows(
    request: Request, snapshot: Snapshot, noun: Resource, found: Sequence[Any], limit: int | None, offset: int
) -> Response:
    """A page of rows, with the number of all."""
    return list_response(
        request,
        snapshot,
        [noun.view(snapshot, row) for row in paginate(found, limit, offset)],
        len(found),
        JOINED[noun.table],
    )


def row(request: Request, snapshot: Snapshot, noun: Resource, found: Any) -> Response:  # noqa: ANN401 (a row of any noun)
    """One row."""
    return cached_response(request, snapshot, json_bytes(noun.view(snapshot, found)), tables=JOINED[noun.table])


def list_response(
    request: Request, snapshot: Snapshot, items: Sequence[Any], count: int, tables: Iterable[str]
) -> Response:
    """A list as every list of the registry looks."""
    return cached_response(request, snapshot, json_bytes({"items": items, "count": count}), tables=tables)


def paginate(found: Sequence[T], limit: int | None, offset: int) -> Sequence[T]:
    """The rows of a page."""
    return found[offset:] if limit is None else found[offset : offset + limit]


async def plan_with_refresh(service: AppState, edit: Callable[[Snapshot], T]) -> T:
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


def add_row_routes(router: APIRouter, noun: Resource, *, read: bool = True) -> None:
    """Give a noun its POST, GET, PUT, PATCH and DELETE. `read=False`: the noun's GET of one row is special."""
    shape: Any = {"model": noun.view_shape}
    _add_create(router, noun, shape)
    if read:
        _add_read(router, noun, shape)
    _add_replace(router, noun, shape)
    _add_change(router, noun, shape)
    _add_delete(router, noun)


def _add_create(router: APIRouter, noun: Resource, shape: Any) -> None:  # noqa: ANN401 (a piece of OpenAPI)
    body_type: Any = noun.body

    @router.post(
        "",
        status_code=201,
        summary=f"Create {noun.one}",
        operation_id=f"create_{noun.name}",
        responses={201: shape, **responses(401, 403, 409, 422, 503)},
    )
    async def create(body: body_type, service: CurrentApp, caller: Administrator) -> Response:
        row_id = str(uuid.uuid4())
        await _write(service, lambda s: nouns.insert(noun, s, body, row_id), caller)
        return _written(service, noun, row_id, 201)


def _add_read(router: APIRouter, noun: Resource, shape: Any) -> None:  # noqa: ANN401
    @router.get(
        "/{reference:path}",
        summary=f"Get {noun.one} by id or name",
        operation_id=f"get_{noun.name}",
        responses={200: shape, **responses(401, 404, 409, 503)},
    )
    async def read(request: Request, reference: str, service: CurrentApp, _caller: Reader) -> Response:
        snapshot = service.registry.snapshot
        return row(request, snapshot, noun, noun.find(snapshot, reference))


def _add_replace(router: APIRouter, noun: Resource, shape: Any) -> None:  # noqa: ANN401
    body_type: Any = noun.body

    @router.put(
        "/{reference:path}",
        summary=f"Replace {noun.one}",
        operation_id=f"replace_{noun.name}",
        responses={200: shape, **responses(401, 403, 404, 409, 412, 422, 503)},
    )
    async def replace(
        request: Request, reference: str, body: body_type, service: CurrentApp, caller: Administrator
    ) -> Response:
        def edit(snapshot: Snapshot) -> Operation:
            row = _found(request, noun, snapshot, reference)
            return _guarded(request, nouns.replace(noun, snapshot, row, body))

        return _written(service, noun, await _write(service, edit, caller), 200)


def _add_change(router: APIRouter, noun: Resource, shape: Any) -> None:  # noqa: ANN401
    partial_type: Any = partial(noun.body)

    @router.patch(
        "/{reference:path}",
        summary=f"Update some fields of {noun.one}",
        operation_id=f"change_{noun.name}",
        responses={200: shape, **responses(401, 403, 404, 409, 412, 422, 503)},
    )
    async def change(
        request: Request, reference: str, body: partial_type, service: CurrentApp, caller: Administrator
    ) -> Response:
        fields = body.model_dump(exclude_unset=True)

        def edit(snapshot: Snapshot) -> Operation:
            row = _found(request, noun, snapshot, reference)
            return _guarded(request, nouns.change(noun, snapshot, row, fields))

        return _written(service, noun, await _write(service, edit, caller), 200)


def _add_delete(router: APIRouter, noun: Resource) -> None:
    @router.delete(
        "/{reference:path}",
        status_code=204,
        summary=f"Delete {noun.one}",
        description="Refused with 409 while other rows refer to it.",
        operation_id=f"delete_{noun.name}",
        responses=responses(401, 403, 404, 409, 412, 503),
    )
    async def delete(request: Request, reference: str, service: CurrentApp, caller: Administrator) -> Response:
        def edit(snapshot: Snapshot) -> Operation:
            return _guarded(request, nouns.delete(noun, snapshot, _found(request, noun, snapshot, reference)))

        await _write(service, edit, caller)
        return Response(status_code=204)


def _guarded(request: Request, operation: Operation) -> Operation:
    """Only who sent If-Match wants to be refused when someone else was quicker."""
    return operation if "if-match" in request.headers else dataclasses.replace(operation, version=None)


def _found(request: Request, noun: Resource, snapshot: Snapshot, reference: str) -> Any:  # noqa: ANN401 (a row of any noun)
    """The row that is to be changed, as the caller last saw it."""
    row = noun.find(snapshot, reference)
    expect_match(request, noun.view(snapshot, row))
    return row


async def _write(service: AppState, edit: Callable[[Snapshot], Operation], caller: Caller) -> str:
    """Plan an edit and do it; answers the row's id."""
    operation = await plan_with_refresh(service, edit)
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


def _written(service: AppState, noun: Resource, row_id: str, status: int) -> Response:
    snapshot = service.registry.snapshot
    row = noun.find(snapshot, row_id)
    headers = {"Location": f"/api/{noun.plural}/{row_id}"} if status == 201 else None  # noqa: PLR2004
    return row_response(noun.view(snapshot, row), status, headers)
