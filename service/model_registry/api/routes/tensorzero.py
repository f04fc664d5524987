"""`/api/tensorzero/import`: existing projects."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from model_registry.api.app_state import CurrentApp
from model_registry.api.auth import DryRun, Importer
from model_registry.api.cached_responses import JSON
from model_registry.api.edits import new_id, run_import
from model_registry.api.guarded_route import PROJECT_BYTES, GuardedRoute, body_limit
from model_registry.api.import_destination import ImportDestination
from model_registry.api.problems import responses
from model_registry.api.publication import Publication, answers_publication, note_rows
from model_registry.gateways.tensorzero.importing.plan import plan_import
from model_registry.gateways.tensorzero.reading.parse import parse_project
from model_registry.imports.plan import Action, ImportPlan
from model_registry.store.json_bytes import json_bytes

router = APIRouter(prefix="/api/tensorzero", tags=["tensorzero"], route_class=GuardedRoute)

_COUNTED: tuple[Action, ...] = ("created", "changed", "unchanged", "removed")


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
