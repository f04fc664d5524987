"""`/api/gateways/{gateway}/config`, `/bundle`, `/functions` and `/omitted`: what a gateway gets, and what it does not.

The same at `/api/tensorzero/...`.
"""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Literal

from fastapi import Query, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from model_registry.api.app_state import AppState, CurrentApp
from model_registry.api.auth import Reader, key_holder
from model_registry.api.cached_responses import cached_body, cached_response, etag_of, keep, matches, served
from model_registry.api.gateways.named_gateway import GatewayRoutes, Named, NamedGateway
from model_registry.api.long_work import while_there
from model_registry.api.problems import responses
from model_registry.api.published_config import BodyWithExclusions, Wait, served_answer
from model_registry.api.resource import list_response, page
from model_registry.api.routes.history import LARGEST
from model_registry.entities.secret_text import mask_secrets
from model_registry.errors import Conflict
from model_registry.gateways.bundle import archive
from model_registry.gateways.kinds import KINDS
from model_registry.gateways.omission import Omission
from model_registry.gateways.tensorzero.kind import TENSORZERO
from model_registry.gateways.tensorzero.rendering.function_tables import function_views
from model_registry.gateways.tensorzero.rendering.render import CONFIGURATION_TABLES, has_routes
from model_registry.gateways.tensorzero.rendering.routes import omitted
from model_registry.snapshot.deployment_links import unlinked
from model_registry.snapshot.snapshot import Snapshot
from model_registry.store.json_bytes import json_bytes

_routes = GatewayRoutes()
ROUTERS = _routes.routers

GZIP = "application/gzip"
_UNCHANGED: dict[int | str, dict[str, Any]] = {304: {"description": "Not modified, even after waiting"}}
_TEXTS = {
    # Tools read YAML and JSON as what it holds, and TOML as text.
    kind.media_type: {"schema": {"type": "string" if kind.media_type.endswith("toml") else "object"}}
    for kind in KINDS.values()
}


class Variant(BaseModel):
    """A variant of a function, as rendered for the gateway."""

    name: str
    type: str
    model: str | None
    priority: int | None
    weight: float | None
    role: Literal["candidate", "fallback", "pinned"]


class RenderedFunction(BaseModel):
    """A function, as rendered for the gateway."""

    name: str
    service_name: str
    function_name: str
    type: str
    description: str | None
    variants: list[Variant]


class OmissionView(BaseModel):
    """An omission from the configuration, with the reason."""

    kind: str
    name: str
    reason: str
    instead: str = ""
    """What to do instead, where this kind of gateway cannot have it."""


@_routes.add(
    "GET",
    "/config",
    summary="Get a gateway's configuration: the file that its loader is pointed to",
    operation_id="get_tensorzero_config",
    response_class=Response,
    responses={200: {"content": _TEXTS}, **_UNCHANGED, **responses(401, 403, 404, 410, 422, 503)},
)
async def get_config(
    request: Request,
    state: CurrentApp,
    _caller: Reader,
    named: Named,
    revision: Annotated[
        Annotated[int, Field(ge=0, le=LARGEST)] | Literal["latest"] | None,
        Query(description="The configuration at this revision; requires a key. `latest`: the newest, accepted or not."),
    ] = None,
    wait: Wait = None,
) -> Response:
    """The newest accepted configuration, or that of the pinned revision; `X-Registry-Revision` is its revision.

    `X-Registry-Refused-Revision` is set while a newer configuration is refused (`status` gives the reasons),
    `X-Registry-Pending-Revision` while the newest one is still being validated.

    Byte-identical as long as nothing in it changes: use `If-None-Match`. TOML for `tensorzero`, YAML for `litellm`.
    """
    gateway = named.gateway()
    kind = gateway.kind
    if revision == "latest":
        snapshot = gateway.newest(state.registry.snapshot).snapshot
        text = (await asyncio.to_thread(gateway.publisher.rendered, snapshot)).files[kind.main_file]
        return cached_response(request, snapshot, text, tables=gateway.tables(snapshot), media_type=kind.media_type)
    if revision is not None:
        await key_holder(request)  # it shows what was there before
        return await _earlier(request, state, gateway, revision)
    return await served_answer(request, state, gateway, kind.media_type, lambda files: files[kind.main_file], wait)


async def _earlier(request: Request, state: AppState, gateway: NamedGateway, revision: int) -> Response:
    """Answer the configuration at a revision. It never changes, but is not cached: the log may be trimmed."""
    snapshot, text = await while_there(request, _rendered(state, gateway, revision))
    headers = {"ETag": etag_of(text), "Cache-Control": "no-cache", "X-Registry-Revision": str(snapshot.revision)}
    if matches(request.headers.get("if-none-match", ""), headers["ETag"]):
        return Response(status_code=304, headers=headers)
    return Response(text, 200, headers, gateway.kind.media_type)


async def _rendered(state: AppState, gateway: NamedGateway, revision: int) -> tuple[Snapshot, bytes]:
    snapshot = await state.history.at(revision)
    (rendered,) = await state.work.history.go_on(gateway.rendered_at, snapshot)
    return snapshot, rendered.files[gateway.kind.main_file]


@_routes.add(
    "GET",
    "/bundle",
    summary="Download a gateway's configuration with its files, as tar.gz",
    operation_id="get_tensorzero_bundle",
    response_class=Response,
    responses={
        200: {"content": {GZIP: {"schema": {"type": "string", "format": "binary"}}}},
        **_UNCHANGED,
        **responses(401, 422, 503),
    },
)
async def get_bundle(
    request: Request,
    state: CurrentApp,
    _caller: Reader,
    named: Named,
    revision: Annotated[Literal["latest"] | None, Query(description="`latest`: the newest, accepted or not.")] = None,
    wait: Wait = None,
) -> Response:
    """The newest accepted bundle, or that of the pinned revision. Byte-identical as long as nothing in it changes."""
    gateway = named.gateway()
    if revision == "latest":
        snapshot = gateway.newest(state.registry.snapshot).snapshot
        packed = await asyncio.to_thread(lambda: archive(gateway.publisher.rendered(snapshot).files))
        return cached_response(request, snapshot, packed, tables=gateway.tables(snapshot), media_type=GZIP)
    return await served_answer(request, state, gateway, GZIP, archive, wait)


@_routes.add(
    "GET",
    "/functions",
    summary="List the functions of a TensorZero gateway's configuration, with their variants",
    operation_id="list_tensorzero_functions",
    responses={200: {"model": page("RenderedFunctionList", RenderedFunction)}, **responses(401, 503)},
)
async def list_functions(request: Request, state: CurrentApp, _caller: Reader, named: Named) -> Response:
    """Functions as rendered for the gateway; those without a usable variant are left out."""
    gateway = named.gateway()
    if gateway.kind is not TENSORZERO:
        message = f"Gateways of the kind {gateway.kind.name} have no list of functions."
        raise Conflict(f"{message} `config` shows what {gateway.row.name} has.")
    snapshot = gateway.newest(state.registry.snapshot).snapshot
    items = function_views(snapshot)
    return list_response(request, snapshot, items, len(items), CONFIGURATION_TABLES | {"gateways"})


@_routes.add(
    "GET",
    "/omitted",
    summary="List omissions from a gateway's configuration, with reasons",
    operation_id="list_tensorzero_omissions",
    responses={200: {"model": page("OmissionList", OmissionView)}, **responses(401, 503)},
)
async def list_omissions(request: Request, state: CurrentApp, _caller: Reader, named: Named) -> Response:
    """What the configuration leaves out, inactive rows, and loaded deployments that receive no requests.

    Rows that validation refuses come first, with the reason.
    """
    gateway = named.gateway()
    damped, publisher = gateway.newest(state.registry.snapshot), gateway.publisher
    excluded = publisher.excluded
    found = [Omission(row.kind, row.name, row.reason) for row in excluded]
    rest = publisher.published(damped.snapshot)
    found += (await asyncio.to_thread(publisher.rendered, rest)).omitted
    found += [omitted(held.deployment, held.reason) for held in damped.held]
    if has_routes(damped.snapshot):
        found += [
            omitted(deployment, f"it is linked to no model: {why}") for deployment, why in unlinked(damped.snapshot)
        ]
    items = [
        {"kind": o.kind, "name": mask_secrets(o.name), "reason": mask_secrets(o.reason)}
        | ({"instead": o.instead} if o.instead else {})
        for o in found
    ]
    body = json_bytes({"items": items, "count": len(items)})
    # Kept only while no route is held back: else the damped tables are no tables of the registry.
    cached = cached_body(request, damped.snapshot, body, tables=gateway.tables(damped.snapshot))
    answer = BodyWithExclusions.of(cached, publisher, excluded)
    keep(request, answer)
    return served(request, answer)
