"""`/api/tensorzero`: the gateway's configuration, its omissions, and the import of existing projects."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from model_registry.api.app_state import AppState, CurrentApp
from model_registry.api.auth import DryRun, Importer, Reader, key_holder
from model_registry.api.cached_responses import JSON, cached_body, cached_response, keep, served
from model_registry.api.edits import new_id, run_import
from model_registry.api.guarded_route import PROJECT_BYTES, GuardedRoute, body_limit
from model_registry.api.import_destination import ImportDestination
from model_registry.api.problems import responses
from model_registry.api.publication import Publication, answers_publication, note_rows
from model_registry.api.published_config import BodyWithExclusions, Wait, served_answer
from model_registry.api.resource import list_response, page
from model_registry.api.routes.history import LARGEST, configuration_at
from model_registry.entities.secret_text import mask_secrets
from model_registry.file_paths import CONFIG_FILE
from model_registry.fleet.flap_damping import DampedSnapshot
from model_registry.gateways.omission import Omission
from model_registry.gateways.tensorzero.importing.plan import plan_import
from model_registry.gateways.tensorzero.reading.parse import parse_project
from model_registry.gateways.tensorzero.rendering.function_tables import function_views
from model_registry.gateways.tensorzero.rendering.render import CONFIGURATION_TABLES as TABLES
from model_registry.gateways.tensorzero.rendering.render import configuration_tables, has_routes
from model_registry.gateways.tensorzero.rendering.routes import omitted
from model_registry.imports.plan import Action, ImportPlan
from model_registry.snapshot.deployment_links import unlinked
from model_registry.snapshot.snapshot import Snapshot
from model_registry.store.json_bytes import json_bytes

router = APIRouter(prefix="/api/tensorzero", tags=["tensorzero"], route_class=GuardedRoute)

TOML = "application/toml"
_COUNTED: tuple[Action, ...] = ("created", "changed", "unchanged", "removed")


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


class ImportRequest(BaseModel):
    """A TensorZero project: its TOML files and the files they refer to, by path."""

    files: dict[str, str] = Field(
        min_length=1,
        max_length=10_000,
        examples=[{"tensorzero.toml": "[models.m]\n..."}],
        description="Path from the project's root -> text. TOML files refer to others relative to their own path.",
    )
    configuration: list[str] | None = Field(
        None,
        max_length=10_000,
        examples=[["tensorzero.toml"]],
        description="Paths of the configuration files; by default all TOML files that look like one.",
    )


class ImportEntry(BaseModel):
    """The action taken for one entry of the project."""

    action: Literal[
        "created",
        "changed",
        "unchanged",
        "normalised",
        "upgraded",
        "removed",
        "renamed",
        "overwritten",
        "kept",
        "warning",
    ]
    kind: str
    name: str
    detail: str


class ImportAnswer(BaseModel):
    """The result of an import, or of its dry run."""

    dry_run: bool
    revision: int
    report: list[ImportEntry]
    created: int
    changed: int
    unchanged: int
    removed: int
    publication: Publication | None = Field(None, description="What became of the change; only with `wait`.")


@router.get(
    "/config",
    summary="Get the gateway's configuration as TOML",
    operation_id="get_tensorzero_config",
    response_class=Response,
    responses={
        200: {"content": {TOML: {"schema": {"type": "string"}}}},
        304: {"description": "Not modified, even after waiting"},
        **responses(401, 403, 404, 410, 422, 503),
    },
)
async def get_config(
    request: Request,
    state: CurrentApp,
    _caller: Reader,
    revision: Annotated[
        Annotated[int, Field(ge=0, le=LARGEST)] | Literal["latest"] | None,
        Query(description="The configuration at this revision; requires a key. `latest`: the newest, accepted or not."),
    ] = None,
    wait: Wait = None,
) -> Response:
    """The newest accepted configuration; `X-Registry-Revision` is its revision.

    `X-Registry-Refused-Revision` is set while a newer configuration is refused (`GET /api/tensorzero/status` gives the
    reasons), `X-Registry-Pending-Revision` while the newest one is still being validated.

    Byte-identical as long as nothing in it changes: use `If-None-Match`.
    """
    if revision == "latest":
        snapshot = _damped(state).snapshot
        text = (await asyncio.to_thread(state.publisher.rendered, snapshot)).files[CONFIG_FILE]
        return cached_response(request, snapshot, text, tables=_tables(snapshot), media_type=TOML)
    if revision is not None:
        await key_holder(request)  # it shows what was there before
        return await configuration_at(request, state, revision, TOML)
    return await served_answer(request, state, TOML, lambda files: files[CONFIG_FILE], wait)


@router.get(
    "/functions",
    summary="List the functions of the gateway's configuration, with their variants",
    operation_id="list_tensorzero_functions",
    responses={200: {"model": page("RenderedFunctionList", RenderedFunction)}, **responses(401, 503)},
)
async def list_functions(request: Request, state: CurrentApp, _caller: Reader) -> Response:
    """Functions as rendered for the gateway; those without a usable variant are left out."""
    snapshot = state.registry.snapshot
    items = function_views(snapshot)
    return list_response(request, snapshot, items, len(items), TABLES)


@router.get(
    "/omitted",
    summary="List omissions from the configuration, with reasons",
    operation_id="list_tensorzero_omissions",
    responses={200: {"model": page("OmissionList", OmissionView)}, **responses(401, 503)},
)
async def list_omissions(request: Request, state: CurrentApp, _caller: Reader) -> Response:
    """The comments at the end of the configuration, inactive rows, and loaded deployments that receive no requests.

    Rows that validation refuses come first, with the reason.
    """
    damped, publisher = _damped(state), state.publisher
    excluded = publisher.excluded
    found = [Omission(row.kind, row.name, row.reason) for row in excluded]
    rest = publisher.published(damped.snapshot)
    found += (await asyncio.to_thread(publisher.rendered, rest)).omitted
    found += [omitted(held.deployment, held.reason) for held in damped.held]
    if has_routes(damped.snapshot):
        found += [
            omitted(deployment, f"it is linked to no model: {why}") for deployment, why in unlinked(damped.snapshot)
        ]
    items = [{"kind": o.kind, "name": mask_secrets(o.name), "reason": mask_secrets(o.reason)} for o in found]
    body = json_bytes({"items": items, "count": len(items)})
    cached = cached_body(request, damped.snapshot, body, tables=_tables(damped.snapshot))
    answer = BodyWithExclusions.of(cached, publisher, excluded)
    keep(request, answer)
    return served(request, answer)


def _tables(snapshot: Snapshot) -> frozenset[str]:
    """What the newest configuration is made of: the gateway's row says what is set where it runs."""
    return configuration_tables(snapshot) | {"gateways"}


def _damped(state: AppState) -> DampedSnapshot:
    """The state the newest configuration is rendered from. Responses are cached only while no route is held back."""
    return state.publisher.damped(state.registry.snapshot, time.time())


@router.post(
    "/import",
    summary="Import a TensorZero project in one transaction",
    operation_id="import_tensorzero",
    responses={200: {"model": ImportAnswer}, **responses(401, 403, 408, 409, 413, 422, 429, 503)},
)
@answers_publication
@body_limit(PROJECT_BYTES)
async def import_project(
    request: Request,
    body: ImportRequest,
    state: CurrentApp,
    caller: Importer,
    into: ImportDestination,
    dry_run: DryRun = False,
    replace: Annotated[
        bool,
        Query(
            description="Remove what the registry has of earlier imports of this project, and the project has no more."
        ),
    ] = False,
    upgrade: Annotated[
        bool, Query(description="Rewrite old syntax that today's gateway refuses, where its meaning is plain.")
    ] = False,
) -> Response:
    """Rows not named by the project stay unchanged, and so do those of other projects. The report has each upgrade.

    Entries that another project has alike belong to both. Importing the same project again changes nothing.
    """
    plan, revision = await run_import(
        request,
        caller,
        lambda: parse_project(body.files, body.configuration, upgrade=upgrade),
        lambda project, snapshot: plan_import(project, snapshot, new_id, replace=replace, into=into),
        dry_run=dry_run,
        refresh=not dry_run,
    )
    note_rows(plan.kept)
    content = await state.work.parsing.go_on(_json, plan, dry_run=dry_run, revision=revision)
    return Response(content, media_type=JSON)


def _json(plan: ImportPlan, *, dry_run: bool, revision: int) -> bytes:
    return json_bytes({"dry_run": dry_run, "revision": revision, **plan.short_report(*_COUNTED)})
