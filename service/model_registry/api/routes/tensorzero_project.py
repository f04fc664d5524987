"""`/api/tensorzero/bundle`, `/files` and `/sections`: the parts of a project that have no table of their own."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Annotated, Any, Literal, TypeVar

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field, ValidationError
from starlette.responses import Response

from model_registry.api.app_state import CurrentApp
from model_registry.api.auth import Administrator, Reader
from model_registry.api.cached_responses import JSON, cached_response
from model_registry.api.edits import delete_row, put_row
from model_registry.api.guarded_route import PROJECT_BYTES, GuardedRoute, body_limit
from model_registry.api.problems import responses, summary
from model_registry.api.publication import answers_publication
from model_registry.api.published_config import Wait, served_answer
from model_registry.api.resource import list_response, page
from model_registry.api.unknown_input import body_faults
from model_registry.catalog.request_models import ConfigFileBody, ConfigSectionBody
from model_registry.catalog.resources import FILE, SECTION
from model_registry.entities.config import ConfigFile, ConfigSection
from model_registry.entities.field_errors import reasons_of
from model_registry.errors import Invalid, Reason
from model_registry.gateways.tensorzero.project import project_path_problem
from model_registry.gateways.tensorzero.rendering.bundle import archive
from model_registry.gateways.tensorzero.rendering.render import configuration_tables
from model_registry.snapshot.lookup import find_file, find_section
from model_registry.store.json_bytes import json_bytes

router = APIRouter(prefix="/api/tensorzero", tags=["tensorzero"], route_class=GuardedRoute)

GZIP = "application/gzip"
B = TypeVar("B", bound=BaseModel)

_FILES, _SECTIONS = ("config_files",), ("config_sections",)


def _stored(shape: type[BaseModel]) -> dict[int | str, dict[str, Any]]:
    """The documented responses of a PUT that may create."""
    return {200: {"model": shape}, 201: {"model": shape}, **responses(401, 403, 409, 412, 422, 503)}


class FileEntry(BaseModel):
    """A file of the gateway's configuration, without its content."""

    path: str
    bytes: int
    version: int
    updated_at: str


class FileBody(BaseModel):
    """The new content of a file."""

    content: str = Field(examples=["You are a helpful assistant."])


class SectionBody(BaseModel):
    """The new content of a section."""

    value: dict[str, Any] = Field(examples=[{"debug": True}])


@router.get(
    "/bundle",
    summary="Download the gateway's configuration with its files, as tar.gz",
    operation_id="get_tensorzero_bundle",
    response_class=Response,
    responses={
        200: {"content": {GZIP: {"schema": {"type": "string", "format": "binary"}}}},
        304: {"description": "Not modified, even after waiting"},
        **responses(401, 422, 503),
    },
)
async def get_bundle(
    request: Request,
    state: CurrentApp,
    _caller: Reader,
    revision: Annotated[Literal["latest"] | None, Query(description="`latest`: the newest, accepted or not.")] = None,
    wait: Wait = None,
) -> Response:
    """The newest accepted bundle. Byte-identical as long as nothing in it changes."""
    if revision == "latest":
        snapshot = state.publisher.damped(state.registry.snapshot, time.time()).snapshot
        packed = await asyncio.to_thread(lambda: archive(state.publisher.rendered(snapshot).files))
        tables = configuration_tables(snapshot) | {"config_files"}
        return cached_response(request, snapshot, packed, tables=tables, media_type=GZIP)
    return await served_answer(request, state, GZIP, archive, wait)


@router.get(
    "/files",
    summary="List the files of the gateway's configuration",
    operation_id="list_tensorzero_files",
    responses={200: {"model": page("FileList", FileEntry)}, **responses(401, 503)},
)
async def list_files(request: Request, state: CurrentApp, _caller: Reader) -> Response:
    """All files ordered by path, without content."""
    snapshot = state.registry.snapshot
    items = [
        {"path": f.path, "bytes": len(f.content.encode()), "version": f.version, "updated_at": f.updated_at}
        for f in snapshot.files
    ]
    return list_response(request, snapshot, items, len(items), _FILES)


@router.get(
    "/files/{path:path}",
    summary="Get a file",
    operation_id="get_tensorzero_file",
    responses={200: {"model": ConfigFile}, **responses(401, 404, 422, 503)},
)
async def get_file(request: Request, path: str, state: CurrentApp, _caller: Reader) -> Response:
    """The file with its content."""
    snapshot = state.registry.snapshot
    found = find_file(snapshot, _checked(path))
    return cached_response(request, snapshot, json_bytes(found.model_dump()), tables=_FILES)


@router.put(
    "/files/{path:path}",
    summary="Create or replace a file",
    operation_id="put_tensorzero_file",
    responses=_stored(ConfigFile),
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
@answers_publication
@body_limit(PROJECT_BYTES)
async def put_file(request: Request, path: str, state: CurrentApp, caller: Administrator) -> Response:
    """Send JSON, or the text itself with any other content type. The configuration may then refer to the file."""
    content = await _content(request)
    body = _validated(ConfigFileBody, {"path": _checked(path), "content": content})
    return await put_row(request, FILE, path, body, state, caller)


@router.delete(
    "/files/{path:path}",
    status_code=204,
    summary="Delete a file",
    operation_id="delete_tensorzero_file",
    responses=responses(401, 403, 404, 412, 422, 503),
)
@answers_publication
async def delete_file(request: Request, path: str, state: CurrentApp, caller: Administrator) -> Response:
    """Refused with 409, naming the keys, while the configuration refers to the file."""
    return await delete_row(request, FILE, _checked(path), state, caller)


@router.get(
    "/sections",
    summary="List the sections of the gateway's configuration that are kept verbatim",
    operation_id="list_tensorzero_sections",
    responses={200: {"model": page("SectionList", ConfigSection)}, **responses(401, 503)},
)
async def list_sections(request: Request, state: CurrentApp, _caller: Reader) -> Response:
    """All sections, ordered by name."""
    snapshot = state.registry.snapshot
    items = [section.model_dump() for section in snapshot.sections]
    return list_response(request, snapshot, items, len(items), _SECTIONS)


@router.get(
    "/sections/{name}",
    summary="Get a section",
    operation_id="get_tensorzero_section",
    responses={200: {"model": ConfigSection}, **responses(401, 404, 503)},
)
async def get_section(request: Request, name: str, state: CurrentApp, _caller: Reader) -> Response:
    """The section with its table."""
    snapshot = state.registry.snapshot
    return cached_response(request, snapshot, json_bytes(find_section(snapshot, name).model_dump()), tables=_SECTIONS)


@router.put(
    "/sections/{name}",
    summary="Create or replace a section",
    operation_id="put_tensorzero_section",
    responses=_stored(ConfigSection),
)
@answers_publication
@body_limit(PROJECT_BYTES)
async def put_section(
    request: Request, name: str, body: SectionBody, state: CurrentApp, caller: Administrator
) -> Response:
    """Replaces the whole table. Models and functions are rows, not sections."""
    section = _validated(ConfigSectionBody, {"name": name, "value": body.value})
    return await put_row(request, SECTION, name, section, state, caller)


@router.delete(
    "/sections/{name}",
    status_code=204,
    summary="Delete a section",
    operation_id="delete_tensorzero_section",
    responses=responses(401, 403, 404, 412, 422, 503),
)
@answers_publication
async def delete_section(request: Request, name: str, state: CurrentApp, caller: Administrator) -> Response:
    """Refused with 409, naming the keys, while functions depend on the section."""
    return await delete_row(request, SECTION, name, state, caller)


def _checked(path: str) -> str:
    """Check a path for a file of a project. Errors: Invalid."""
    if problem := project_path_problem(path):
        raise Invalid(f"The path {path!r} {problem}.", reasons=[Reason("path", problem)])
    return path


async def _content(request: Request) -> str:
    """Read the text from a request. Errors: Invalid."""
    body = await request.body()
    try:
        if request.headers.get("content-type", JSON).partition(";")[0].strip() != JSON:
            return body.decode("utf-8")
        value = json.loads(body)
        faults = body_faults(request.scope["route"].path, value, FileBody)
        if not faults:
            return FileBody.model_validate(value, strict=True).content
    except ValidationError as error:
        raise Invalid("The body is not valid.", reasons=reasons_of(error)) from error
    except (ValueError, RecursionError) as error:
        # Also what is no text: templates and schemas are.
        raise Invalid("The body is neither JSON nor text in UTF-8.", reasons=[Reason("body", str(error))]) from error
    raise Invalid(summary(tuple(faults)), reasons=faults)


def _validated(kind: type[B], values: dict[str, Any]) -> B:
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        reasons = reasons_of(error)
        raise Invalid("; ".join(map(str, reasons)), reasons=reasons) from error
