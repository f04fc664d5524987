"""`/api/tensorzero/bundle`, `/files` and `/sections`: the parts of a project that are not rows of their own nouns."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field, ValidationError
from starlette.responses import Response

from model_registry.api.app_state import AppState, CurrentApp
from model_registry.api.auth import Administrator, Caller, Reader
from model_registry.api.guarded_route import PROJECT_BYTES, GuardedRoute, body_limit
from model_registry.api.problems import responses
from model_registry.api.published_config import Wait, served_answer
from model_registry.api.resource import list_response, page
from model_registry.api.responses import JSON, cached_response, expect_match, row_response
from model_registry.catalog.resources import reasons_of
from model_registry.entities.base import Draft, Row
from model_registry.entities.change import Operation
from model_registry.entities.config import ConfigFile, ConfigFileDraft, ConfigSection, ConfigSectionDraft
from model_registry.errors import Invalid, NotFound, Reason
from model_registry.gateways.tensorzero.reading.project_paths import project_path_problem
from model_registry.gateways.tensorzero.rendering.bundle import archive
from model_registry.snapshot.snapshot import Snapshot
from model_registry.store.json_bytes import json_bytes

router = APIRouter(prefix="/api/tensorzero", tags=["tensorzero"], route_class=GuardedRoute)

GZIP = "application/gzip"
_FILES, _SECTIONS = ("config_files",), ("config_sections",)


class FileEntry(BaseModel):
    """A file of the gateway's configuration, without its content."""

    path: str
    bytes: int
    version: int
    updated_at: str


class FileBody(BaseModel):
    """What a file is to hold."""

    content: str = Field(examples=["You are a helpful assistant."])


class SectionBody(BaseModel):
    """What a section is to hold."""

    value: dict[str, Any] = Field(examples=[{"debug": True}])


@router.get(
    "/bundle",
    summary="The gateway's configuration with the files it refers to, as tar.gz",
    operation_id="get_tensorzero_bundle",
    response_class=Response,
    responses={
        200: {"content": {GZIP: {"schema": {"type": "string", "format": "binary"}}}},
        304: {"description": "Still the same, also after the wait"},
        **responses(401, 422, 503),
    },
)
async def get_bundle(request: Request, service: CurrentApp, _caller: Reader, wait: Wait = None) -> Response:
    """The newest one that was accepted, byte-identical while nothing in it changes."""
    return await served_answer(request, service, GZIP, archive, wait)


@router.get(
    "/files",
    summary="The files that the gateway's configuration refers to",
    operation_id="list_tensorzero_files",
    responses={200: {"model": page("FileList", FileEntry)}, **responses(401, 503)},
)
async def list_files(request: Request, service: CurrentApp, _caller: Reader) -> Response:
    """By path, without their contents."""
    snapshot = service.registry.snapshot
    items = [
        {"path": f.path, "bytes": len(f.content.encode()), "version": f.version, "updated_at": f.updated_at}
        for f in snapshot.files
    ]
    return list_response(request, snapshot, items, len(items), _FILES)


@router.get(
    "/files/{path:path}",
    summary="One file",
    operation_id="get_tensorzero_file",
    responses={200: {"model": ConfigFile}, **responses(401, 404, 422, 503)},
)
async def get_file(request: Request, path: str, service: CurrentApp, _caller: Reader) -> Response:
    """With its content."""
    snapshot = service.registry.snapshot
    found = _file(snapshot, path)
    return cached_response(request, snapshot, json_bytes(found.model_dump()), tables=_FILES)


@router.put(
    "/files/{path:path}",
    summary="Write a file",
    operation_id="put_tensorzero_file",
    responses={
        200: {"model": ConfigFile},
        201: {"model": ConfigFile},
        **responses(401, 403, 409, 412, 422, 503),
    },
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                JSON: {"schema": FileBody.model_json_schema()},
                "text/plain": {"schema": {"type": "string"}},
            },
        }
    },
)
@body_limit(PROJECT_BYTES)
async def put_file(request: Request, path: str, service: CurrentApp, caller: Administrator) -> Response:
    """As JSON, or as the text itself with any other content type. A key of the configuration may refer to it then."""
    content = await _content(request)
    draft = _drafted(ConfigFileDraft, {"path": _checked(path), "content": content})
    return await _put(request, service, caller, "config_files", draft, lambda s: s.files.where("path", path))


@router.delete(
    "/files/{path:path}",
    status_code=204,
    summary="Delete a file that nothing refers to",
    operation_id="delete_tensorzero_file",
    responses=responses(401, 403, 404, 412, 422, 503),
)
async def delete_file(request: Request, path: str, service: CurrentApp, caller: Administrator) -> Response:
    """Refused, naming the keys, while the configuration refers to it."""
    return await _delete(request, service, caller, "config_files", lambda s: _file(s, path))


@router.get(
    "/sections",
    summary="The sections of the gateway's configuration that are kept as they are",
    operation_id="list_tensorzero_sections",
    responses={200: {"model": page("SectionList", ConfigSection)}, **responses(401, 503)},
)
async def list_sections(request: Request, service: CurrentApp, _caller: Reader) -> Response:
    """By name."""
    snapshot = service.registry.snapshot
    items = [section.model_dump() for section in snapshot.sections]
    return list_response(request, snapshot, items, len(items), _SECTIONS)


@router.get(
    "/sections/{name}",
    summary="One section",
    operation_id="get_tensorzero_section",
    responses={200: {"model": ConfigSection}, **responses(401, 404, 503)},
)
async def get_section(request: Request, name: str, service: CurrentApp, _caller: Reader) -> Response:
    """With its table."""
    snapshot = service.registry.snapshot
    return cached_response(request, snapshot, json_bytes(_section(snapshot, name).model_dump()), tables=_SECTIONS)


@router.put(
    "/sections/{name}",
    summary="Write a section",
    operation_id="put_tensorzero_section",
    responses={
        200: {"model": ConfigSection},
        201: {"model": ConfigSection},
        **responses(401, 403, 409, 412, 422, 503),
    },
)
@body_limit(PROJECT_BYTES)
async def put_section(
    request: Request, name: str, body: SectionBody, service: CurrentApp, caller: Administrator
) -> Response:
    """The whole table anew. Models and functions are rows of their own, and no sections."""
    draft = _drafted(ConfigSectionDraft, {"name": name, "value": body.value})
    return await _put(request, service, caller, "config_sections", draft, lambda s: s.sections.where("name", name))


@router.delete(
    "/sections/{name}",
    status_code=204,
    summary="Delete a section",
    operation_id="delete_tensorzero_section",
    responses=responses(401, 403, 404, 412, 422, 503),
)
async def delete_section(request: Request, name: str, service: CurrentApp, caller: Administrator) -> Response:
    """Refused, naming the keys, while functions need what is in it."""
    return await _delete(request, service, caller, "config_sections", lambda s: _section(s, name))


def _file(snapshot: Snapshot, path: str) -> ConfigFile:
    found = snapshot.files.where("path", _checked(path))
    if not found:
        raise NotFound(f"There is no file {path!r}.")
    return found[0]


def _section(snapshot: Snapshot, name: str) -> ConfigSection:
    found = snapshot.sections.where("name", name)
    if not found:
        raise NotFound(f"There is no section {name!r}.")
    return found[0]


def _checked(path: str) -> str:
    """The path, if a file of a project can have it. Errors: Invalid."""
    if problem := project_path_problem(path):
        raise Invalid(f"The path {path!r} {problem}.", reasons=[Reason("path", problem)])
    return path


async def _content(request: Request) -> str:
    """The text that a request carries. Errors: Invalid."""
    body = await request.body()
    try:
        if request.headers.get("content-type", JSON).partition(";")[0].strip() != JSON:
            return body.decode("utf-8")
        return FileBody.model_validate(json.loads(body), strict=True).content
    except ValidationError as error:
        raise Invalid("The body is not valid.", reasons=reasons_of(error)) from error
    except (ValueError, RecursionError) as error:
        # Also what is no text: templates and schemas are.
        raise Invalid("The body is neither JSON nor text in UTF-8.", reasons=[Reason("body", str(error))]) from error


def _drafted(draft: type[Draft], values: dict[str, Any]) -> dict[str, Any]:
    try:
        return draft.model_validate(values).model_dump()
    except ValidationError as error:
        reasons = reasons_of(error)
        raise Invalid("; ".join(map(str, reasons)), reasons=reasons) from error


async def _put(
    request: Request,
    service: AppState,
    caller: Caller,
    table: str,
    values: dict[str, Any],
    find: Callable[[Snapshot], list[Any]],
) -> Response:
    """Insert or replace. When somebody else inserts at the same moment, the second write is refused (409)."""
    registry = service.registry
    old: Row | None = next(iter(find(registry.snapshot)), None)
    if old is None:
        await registry.refresh()
        old = next(iter(find(registry.snapshot)), None)
    expect_match(request, old.model_dump() if old else {})
    if old is None:
        operation = Operation(table, "insert", str(uuid.uuid4()), values)
    else:
        guarded = old.version if "if-match" in request.headers else None
        operation = Operation(table, "update", old.id, values, guarded)
    await registry.write([operation], actor=caller.name)
    return row_response(find(registry.snapshot)[0].model_dump(), 200 if old else 201)


async def _delete(
    request: Request, service: AppState, caller: Caller, table: str, find: Callable[[Snapshot], Row]
) -> Response:
    registry = service.registry
    try:
        old = find(registry.snapshot)
    except NotFound:
        await registry.refresh()
        old = find(registry.snapshot)
    expect_match(request, old.model_dump())
    guarded = old.version if "if-match" in request.headers else None
    await registry.write([Operation(table, "delete", old.id, version=guarded)], actor=caller.name)
    return Response(status_code=204)
