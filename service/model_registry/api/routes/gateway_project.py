"""`/api/gateways/{gateway}/files` and `/sections`: the parts of a project that have no table of their own.

Those of the gateway whose content it has. The same at `/api/tensorzero/...`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

from fastapi import Request
from pydantic import BaseModel, Field, ValidationError
from starlette.responses import Response

from model_registry.api.app_state import CurrentApp
from model_registry.api.auth import Administrator, Reader
from model_registry.api.cached_responses import JSON, cached_response
from model_registry.api.edits import delete_row, put_row
from model_registry.api.gateways.named_gateway import GatewayRoutes, Named
from model_registry.api.guarded_route import PROJECT_BYTES, body_limit
from model_registry.api.problems import responses, summary
from model_registry.api.publication import answers_publication
from model_registry.api.resource import list_response, page
from model_registry.api.unknown_input import body_faults
from model_registry.catalog.request_models import ConfigFileBody, ConfigSectionBody
from model_registry.catalog.resources import FILE, SECTION, Resource
from model_registry.entities.base import Row
from model_registry.entities.config import ConfigFile, ConfigSection
from model_registry.entities.field_errors import reasons_of
from model_registry.entities.gateway import Gateway
from model_registry.errors import Invalid, Reason
from model_registry.gateways.tensorzero.project import project_path_problem
from model_registry.snapshot.lookup import find_file, find_section
from model_registry.snapshot.snapshot import Snapshot
from model_registry.store.json_bytes import json_bytes

_routes = GatewayRoutes()
ROUTERS = _routes.routers

B = TypeVar("B", bound=BaseModel)

_FILES, _SECTIONS = ("config_files", "gateways"), ("config_sections", "gateways")


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


@_routes.add(
    "GET",
    "/files",
    summary="List the files of the gateway's configuration",
    operation_id="list_tensorzero_files",
    responses={200: {"model": page("FileList", FileEntry)}, **responses(401, 503)},
)
async def list_files(request: Request, state: CurrentApp, _caller: Reader, named: Named) -> Response:
    """All files ordered by path, without content."""
    gateway = named.row()
    snapshot = state.registry.snapshot
    items = [
        {"path": f.path, "bytes": len(f.content.encode()), "version": f.version, "updated_at": f.updated_at}
        for f in snapshot.files
        if f.gateway == gateway.content_of
    ]
    return list_response(request, snapshot, items, len(items), _FILES)


@_routes.add(
    "GET",
    "/files/{path:path}",
    summary="Get a file",
    operation_id="get_tensorzero_file",
    responses={200: {"model": ConfigFile}, **responses(401, 404, 422, 503)},
)
async def get_file(request: Request, path: str, state: CurrentApp, _caller: Reader, named: Named) -> Response:
    """The file with its content."""
    gateway = named.row()
    snapshot = state.registry.snapshot
    found = find_file(snapshot, _checked(path), gateway.content_of)
    return cached_response(request, snapshot, json_bytes(found.model_dump()), tables=_FILES)


@_routes.add(
    "PUT",
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
async def put_file(request: Request, path: str, state: CurrentApp, caller: Administrator, named: Named) -> Response:
    """Send JSON, or the text itself with any other content type. The configuration may then refer to the file."""
    content, gateway = await _content(request), named.row()
    body = _validated(ConfigFileBody, {"path": _checked(path), "content": content, "gateway": gateway.content_of})
    return await put_row(request, _of(gateway, FILE, find_file), path, body, state, caller)


@_routes.add(
    "DELETE",
    "/files/{path:path}",
    status_code=204,
    summary="Delete a file",
    operation_id="delete_tensorzero_file",
    responses=responses(401, 403, 404, 412, 422, 503),
)
@answers_publication
async def delete_file(request: Request, path: str, state: CurrentApp, caller: Administrator, named: Named) -> Response:
    """Refused with 409, naming the keys, while the configuration refers to the file."""
    gateway = named.row()
    return await delete_row(request, _of(gateway, FILE, find_file), _checked(path), state, caller)


@_routes.add(
    "GET",
    "/sections",
    summary="List the sections of the gateway's configuration that are kept verbatim",
    operation_id="list_tensorzero_sections",
    responses={200: {"model": page("SectionList", ConfigSection)}, **responses(401, 503)},
)
async def list_sections(request: Request, state: CurrentApp, _caller: Reader, named: Named) -> Response:
    """All sections, ordered by name."""
    gateway = named.row()
    snapshot = state.registry.snapshot
    items = [s.model_dump() for s in snapshot.sections if s.gateway == gateway.content_of]
    return list_response(request, snapshot, items, len(items), _SECTIONS)


@_routes.add(
    "GET",
    "/sections/{name}",
    summary="Get a section",
    operation_id="get_tensorzero_section",
    responses={200: {"model": ConfigSection}, **responses(401, 404, 503)},
)
async def get_section(request: Request, name: str, state: CurrentApp, _caller: Reader, named: Named) -> Response:
    """The section with its table."""
    gateway = named.row()
    snapshot = state.registry.snapshot
    found = find_section(snapshot, name, gateway.content_of)
    return cached_response(request, snapshot, json_bytes(found.model_dump()), tables=_SECTIONS)


@_routes.add(
    "PUT",
    "/sections/{name}",
    summary="Create or replace a section",
    operation_id="put_tensorzero_section",
    responses=_stored(ConfigSection),
)
@answers_publication
@body_limit(PROJECT_BYTES)
async def put_section(
    request: Request, name: str, body: SectionBody, state: CurrentApp, caller: Administrator, named: Named
) -> Response:
    """Replaces the whole table. Models and functions are rows, not sections."""
    gateway = named.row()
    section = _validated(ConfigSectionBody, {"name": name, "value": body.value, "gateway": gateway.content_of})
    return await put_row(request, _of(gateway, SECTION, find_section), name, section, state, caller)


@_routes.add(
    "DELETE",
    "/sections/{name}",
    status_code=204,
    summary="Delete a section",
    operation_id="delete_tensorzero_section",
    responses=responses(401, 403, 404, 412, 422, 503),
)
@answers_publication
async def delete_section(
    request: Request, name: str, state: CurrentApp, caller: Administrator, named: Named
) -> Response:
    """Refused with 409, naming the keys, while functions depend on the section."""
    gateway = named.row()
    return await delete_row(request, _of(gateway, SECTION, find_section), name, state, caller)


def _of(gateway: Gateway, resource: Resource, find: Callable[[Snapshot, str, str], Row]) -> Resource:
    """Return the rows of a resource that belong to the gateway's content."""
    return replace(resource, find=lambda snapshot, reference: find(snapshot, reference, gateway.content_of))


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
