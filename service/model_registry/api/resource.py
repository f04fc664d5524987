"""The six routes that every noun has: list excepted, they are the same for all. Lists have filters of their own.

No `from __future__ import annotations` here: FastAPI reads the annotations, and the body's type is a variable.
"""

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from fastapi import APIRouter, Request
from pydantic import BaseModel, create_model
from starlette.responses import Response

from model_registry.api.app_state import AppState, CurrentApp
from model_registry.api.auth import Administrator, Reader
from model_registry.api.error_handlers import invalid_as
from model_registry.api.problems import responses
from model_registry.api.responses import cached_response, row_response
from model_registry.api.row_edits import add_row, delete_row, edit_row, replace_row
from model_registry.catalog.resources import Resource
from model_registry.catalog.resources import change as change_fields
from model_registry.entities.change import Operation
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


def page(name: str, shape: type[BaseModel]) -> type[BaseModel]:
    """The documented shape of a list."""
    return create_model(name, items=(list[shape], ...), count=(int, ...))  # type: ignore[valid-type]


async def rows(
    request: Request, snapshot: Snapshot, noun: Resource, found: Sequence[Any], limit: int | None, offset: int
) -> Response:
    """A page of rows, with the number of all."""
    part = paginate(found, limit, offset)
    view = functools.partial(noun.view, snapshot)
    return await large_list_response(request, snapshot, part, view, len(found), JOINED[noun.table])


async def large_list_response(
    request: Request,
    snapshot: Snapshot,
    part: Sequence[T],
    view: Callable[[T], Any],
    count: int,
    tables: Iterable[str],
) -> Response:
    """A list that may be long: its JSON is made off the event loop, so that other requests are answered meanwhile."""
    state: AppState = request.app.state.service

    def make() -> bytes:
        return json_bytes({"items": [view(row) for row in part], "count": count})

    return cached_response(request, snapshot, await state.work.listed(request, len(part), make), tables=tables)


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
    @invalid_as(noun.invalid)
    async def create(body: body_type, state: CurrentApp, caller: Administrator) -> Response:
        return _written(state, noun, await add_row(noun, body, state, caller), 201)


def _add_read(router: APIRouter, noun: Resource, shape: Any) -> None:  # noqa: ANN401
    @router.get(
        "/{reference:path}",
        summary=f"Get {noun.one} by id or name",
        operation_id=f"get_{noun.name}",
        responses={200: shape, **responses(401, 404, 409, 503)},
    )
    async def read(request: Request, reference: str, state: CurrentApp, _caller: Reader) -> Response:
        snapshot = state.registry.snapshot
        return row(request, snapshot, noun, noun.find(snapshot, reference))


def _add_replace(router: APIRouter, noun: Resource, shape: Any) -> None:  # noqa: ANN401
    body_type: Any = noun.body

    @router.put(
        "/{reference:path}",
        summary=f"Replace {noun.one}",
        operation_id=f"replace_{noun.name}",
        responses={200: shape, **responses(401, 403, 404, 409, 412, 422, 503)},
    )
    @invalid_as(noun.invalid)
    async def replace(
        request: Request, reference: str, body: body_type, state: CurrentApp, caller: Administrator
    ) -> Response:
        return _written(state, noun, await replace_row(request, noun, reference, body, state, caller), 200)


def _add_change(router: APIRouter, noun: Resource, shape: Any) -> None:  # noqa: ANN401
    partial_type: Any = partial(noun.body)

    @router.patch(
        "/{reference:path}",
        summary=f"Update some fields of {noun.one}",
        operation_id=f"change_{noun.name}",
        responses={200: shape, **responses(401, 403, 404, 409, 412, 422, 503)},
    )
    @invalid_as(noun.invalid)
    async def change(
        request: Request, reference: str, body: partial_type, state: CurrentApp, caller: Administrator
    ) -> Response:
        fields = body.model_dump(exclude_unset=True)

        def edit(snapshot: Snapshot, row: Any) -> Operation:  # noqa: ANN401 (a row of any noun)
            return change_fields(noun, snapshot, row, fields)

        return _written(state, noun, await edit_row(request, noun, reference, edit, state, caller), 200)


def _add_delete(router: APIRouter, noun: Resource) -> None:
    @router.delete(
        "/{reference:path}",
        status_code=204,
        summary=f"Delete {noun.one}",
        description="Refused with 409 while other rows refer to it.",
        operation_id=f"delete_{noun.name}",
        responses=responses(401, 403, 404, 409, 412, 503),
    )
    async def delete(request: Request, reference: str, state: CurrentApp, caller: Administrator) -> Response:
        return await delete_row(request, noun, reference, state, caller)


def _written(state: AppState, noun: Resource, row_id: str, status: int) -> Response:
    snapshot = state.registry.snapshot
    row = noun.find(snapshot, row_id)
    headers = {"Location": f"/api/{noun.plural}/{row_id}"} if status == 201 else None  # noqa: PLR2004
    return row_response(noun.view(snapshot, row), status, headers)
