"""The routes that every resource has, all but its list: lists have filters of their own.

No `from __future__ import annotations` here: FastAPI reads the annotations, and the body's type is a variable.
"""

import asyncio
import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, create_model
from starlette.responses import Response

from model_registry.api.app_state import AppState, CurrentApp
from model_registry.api.auth import Administrator, Reader
from model_registry.api.cached_responses import cached_response, etag_of, json_response
from model_registry.api.edits import add_row, delete_row, edit_row
from model_registry.api.error_handlers import invalid_as
from model_registry.api.problems import responses
from model_registry.api.publication import answers_publication
from model_registry.catalog import resources
from model_registry.catalog.request_models import RequestModel
from model_registry.catalog.resources import Resource
from model_registry.catalog.warnings import WARNINGS, warnings_of, with_warnings
from model_registry.entities.change import Operation
from model_registry.gateways.left_out import beyond_its_kind_in_words
from model_registry.selection.list_filters import ModelFilter, Sort
from model_registry.snapshot.snapshot import Snapshot
from model_registry.store.json_bytes import json_bytes

T = TypeVar("T")

Edit = Callable[[Resource, Snapshot, Any, Any], Operation]
"""Plans an edit of a row, given the request's body."""

JOINED = {
    "model_providers": ("model_providers",),
    "model_categories": ("model_categories",),
    "models": ("models", "model_providers", "model_aliases"),
    "model_aliases": ("model_aliases", "models"),
    "functions": ("functions",),
    "service_model_mappings": ("service_model_mappings", "models", "model_aliases", "model_providers", "functions"),
    "model_services": ("model_services",),
    "gateways": ("gateways",),
    "model_sources": ("model_sources", "source_answers"),
}
"""Which tables a resource's view is made of: when none of them changes, neither does the answer."""

Limit = Annotated[int | None, Query(ge=1, le=100_000, description="Maximum number of rows; all by default.")]
Offset = Annotated[int, Query(ge=0, le=2**31 - 1, description="Number of rows to skip.")]


class ModelQuery(ModelFilter):
    """The filters, the order and the page of a list of models."""

    sort: Sort = None
    limit: Limit = None
    offset: Offset = 0

    def is_page(self) -> bool:
        """Whether it says which part: `offset=0` is all of it, once."""
        return not self.model_fields_set.isdisjoint({"limit", "offset"})


FILTERED_MODELS = (*JOINED["models"], "model_categories")
"""What a filtered list of models is made of: a category that is none is refused."""


def page(name: str, shape: type[BaseModel]) -> type[BaseModel]:
    """The documented shape of a list."""
    return create_model(name, items=(list[shape], ...), count=(int, ...))  # type: ignore[valid-type]


async def rows(
    request: Request, snapshot: Snapshot, resource: Resource, matching: Sequence[Any], limit: int | None, offset: int
) -> Response:
    """A page of rows, with the number of all."""
    part = paginate(matching, limit, offset)
    view = functools.partial(resource.view, snapshot)
    return await large_list_response(request, snapshot, part, view, len(matching), JOINED[resource.table])


Envelope = Callable[[bytes, int], bytes]
"""Puts the JSON of a list's rows, and the number of all, into a response."""


def in_items(rows_json: bytes, count: int) -> bytes:
    """As every list of the registry looks."""
    return b'{"items":%b,"count":%d}' % (rows_json, count)


def in_items_and_models(rows_json: bytes, count: int) -> bytes:
    """The same rows twice: some programs read `models`."""
    return b'{"items":%b,"models":%b,"count":%d}' % (rows_json, rows_json, count)


def bare(rows_json: bytes, _count: int) -> bytes:
    """The rows and nothing else."""
    return rows_json


async def large_list_response(
    request: Request,
    snapshot: Snapshot,
    part: Sequence[T],
    view: Callable[[T], Any],
    count: int,
    tables: Iterable[str],
    envelope: Envelope | None = None,
) -> Response:
    """A list that may be long: its JSON is made off the event loop, so that other requests are answered meanwhile."""
    state: AppState = request.app.state.service

    def make() -> bytes:
        return (envelope or in_items)(json_bytes([view(row) for row in part]), count)

    return cached_response(request, snapshot, await state.work.listed(request, len(part), make), tables=tables)


def row(request: Request, snapshot: Snapshot, resource: Resource, one: Any) -> Response:  # noqa: ANN401 (a row of any resource)
    """One row."""
    return cached_response(request, snapshot, json_bytes(resource.view(snapshot, one)), tables=JOINED[resource.table])


def list_response(
    request: Request, snapshot: Snapshot, items: Sequence[Any], count: int, tables: Iterable[str]
) -> Response:
    """A list as every list of the registry looks."""
    return cached_response(request, snapshot, json_bytes({"items": items, "count": count}), tables=tables)


def paginate(matching: Sequence[T], limit: int | None, offset: int) -> Sequence[T]:
    """The rows of a page."""
    return matching[offset:] if limit is None else matching[offset : offset + limit]


def partial(body: type[BaseModel]) -> type[BaseModel]:
    """The documented shape of a PATCH: every field of the body, none needed."""
    fields: dict[str, Any] = {
        name: (field.annotation, field.default if not field.is_required() else None)
        for name, field in body.model_fields.items()
    }
    name = body.__name__.removesuffix("Body")
    return create_model(f"{name}Change", __base__=RequestModel, __doc__=f"Fields of {name} to change.", **fields)


ANY_NAME, WITHOUT_SLASH = "/{reference:path}", "/{reference}"
"""Paths of one row: by any name, or only by its id where the name has a slash, so that there may be routes below."""


def add_row_routes(router: APIRouter, resource: Resource, *, read: bool = True, path: str = ANY_NAME) -> None:
    """Give a resource its POST, GET, PUT, PATCH and DELETE. `read=False`: the resource's GET of one row is special."""
    _add_create(router, resource)
    if read:
        _add_read(router, resource, path)
    _add_edit(router, resource, path, "PUT", resource.body, resources.replace)
    _add_edit(router, resource, path, "PATCH", partial(resource.body), _change)
    _add_delete(router, resource, path)


def _identifier(resource: Resource) -> str:
    return resource.name.replace(" ", "_")


def _add_create(router: APIRouter, resource: Resource) -> None:
    body_type: Any = resource.body

    @router.post(
        "",
        status_code=201,
        summary=f"Create {resource.one}",
        operation_id=f"create_{_identifier(resource)}",
        responses={201: {"model": with_warnings(resource)}, **responses(401, 403, 409, 422, 503)},
    )
    @answers_publication
    @invalid_as(resource.invalid)
    async def create(request: Request, body: body_type, state: CurrentApp, caller: Administrator) -> Response:
        return await _written(request, resource, await add_row(resource, body, state, caller), 201)


def _add_read(router: APIRouter, resource: Resource, path: str) -> None:
    @router.get(
        path,
        summary=f"Get {resource.one} by id or name",
        operation_id=f"get_{_identifier(resource)}",
        responses={200: {"model": resource.view_shape}, **responses(401, 404, 409, 503)},
    )
    async def read(request: Request, reference: str, state: CurrentApp, _caller: Reader) -> Response:
        snapshot = state.registry.snapshot
        return row(request, snapshot, resource, resource.find(snapshot, reference))


def _change(resource: Resource, snapshot: Snapshot, row: Any, body: BaseModel) -> Operation:  # noqa: ANN401 (a row of any resource)
    return resources.change(resource, snapshot, row, body.model_dump(exclude_unset=True))


def _add_edit(
    router: APIRouter,
    resource: Resource,
    path: str,
    method: str,
    body_type: Any,  # noqa: ANN401 (a type made here)
    edit: Edit,
) -> None:
    name, what = ("replace", "Replace") if method == "PUT" else ("change", "Update some fields of")

    @router.api_route(
        path,
        methods=[method],
        summary=f"{what} {resource.one}",
        operation_id=f"{name}_{_identifier(resource)}",
        responses={200: {"model": with_warnings(resource)}, **responses(401, 403, 404, 409, 412, 422, 503)},
    )
    @answers_publication
    @invalid_as(resource.invalid)
    async def edit_one(
        request: Request, reference: str, body: body_type, state: CurrentApp, caller: Administrator
    ) -> Response:
        def planned(snapshot: Snapshot, row: Any) -> Operation:  # noqa: ANN401 (a row of any resource)
            return edit(resource, snapshot, row, body)

        row_id = await edit_row(request, resource, reference, planned, state, caller)
        return await _written(request, resource, row_id, 200)


def _add_delete(router: APIRouter, resource: Resource, path: str) -> None:
    @router.delete(
        path,
        status_code=204,
        summary=f"Delete {resource.one}",
        description="Refused with 409 while other rows refer to it.",
        operation_id=f"delete_{_identifier(resource)}",
        responses=responses(401, 403, 404, 409, 412, 503),
    )
    @answers_publication
    async def delete(request: Request, reference: str, state: CurrentApp, caller: Administrator) -> Response:
        return await delete_row(request, resource, reference, state, caller)


async def _written(request: Request, resource: Resource, row_id: str, status: int) -> Response:
    state: AppState = request.app.state.service
    snapshot = state.registry.snapshot
    view = resource.view(snapshot, resource.find(snapshot, row_id))
    headers = {"Location": f"/api/{resource.plural}/{row_id}"} if status == 201 else {}  # noqa: PLR2004
    headers["ETag"] = etag_of(json_bytes(view))  # the row's own, also where the answer says more
    warnings = warnings_of(resource, snapshot, await request.json(), view)
    if resource is resources.GATEWAY and status == 201:  # noqa: PLR2004
        left_out = await asyncio.to_thread(beyond_its_kind_in_words, snapshot, snapshot.gateways[row_id])
        warnings += [left_out] if left_out else []
    if warnings:
        view |= {WARNINGS: warnings}
    return json_response(view, status, headers)
