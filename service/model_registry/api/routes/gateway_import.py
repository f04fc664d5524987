"""`/api/gateways/import`: existing configurations of gateways, each for the kind that it is written for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from model_registry.api.app_state import CurrentApp
from model_registry.api.auth import DryRun, Importer
from model_registry.api.cached_responses import JSON
from model_registry.api.edits import new_id, run_import
from model_registry.api.guarded_route import PROJECT_BYTES, GuardedRoute, body_limit
from model_registry.api.problems import responses
from model_registry.entities.base import ShortName
from model_registry.entities.gateway import DEFAULT_GATEWAY
from model_registry.errors import Invalid
from model_registry.gateways.file_kinds import ReadableKind, kind_of
from model_registry.gateways.litellm.importing import plan as litellm
from model_registry.gateways.litellm.reading.parse import parse_config
from model_registry.gateways.tensorzero.importing import plan as tensorzero
from model_registry.gateways.tensorzero.reading.parse import parse_project
from model_registry.imports.plan import Action, ImportPlan
from model_registry.imports.projects import DEFAULT_PROJECT, Destination, OnConflict
from model_registry.snapshot.snapshot import Snapshot
from model_registry.store.json_bytes import json_bytes

router = APIRouter(prefix="/api/gateways", tags=["gateways"], route_class=GuardedRoute)

_COUNTED: tuple[Action, ...] = ("created", "changed", "unchanged", "removed")


class GatewayImportRequest(BaseModel):
    """A gateway's configuration, with the files that it includes or refers to."""

    files: dict[str, str] = Field(
        min_length=1,
        max_length=10_000,
        examples=[{"config.yaml": "model_list:\n..."}],
        description="Path from the configuration's directory -> text. TOML is TensorZero's, YAML is LiteLLM's: "
        "`config.yaml` itself, or Helm values or a ConfigMap that hold it.",
    )
    configuration: str | None = Field(
        None,
        examples=["config.yaml"],
        description="The path of the configuration; by default the only one that no other includes.",
    )
    gateway: ShortName | None = Field(
        None,
        examples=["edge"],
        description="The gateway that it is for; made if there is none. By default the only one of its kind, else a "
        "new one named after the file.",
    )
    wildcards: dict[str, Annotated[list[ShortName], Field(max_length=10_000)]] = Field(
        default={},
        max_length=1000,
        examples=[{"openai/*": ["gpt-4o", "gpt-4o-mini"]}],
        description="Of LiteLLM: model_name with a `*` -> what to put in its place, each as a model of its own.",
    )


class GatewayImportEntry(BaseModel):
    """The action taken for one part of the configuration."""

    action: Action
    kind: str
    name: str
    detail: str


class GatewayImportAnswer(BaseModel):
    """The result of an import, or of its dry run."""

    dry_run: bool
    revision: int
    kind: ReadableKind = Field(description="The kind of gateway that the configuration is for.")
    report: list[GatewayImportEntry]
    created: int
    changed: int
    unchanged: int
    removed: int


@router.post(
    "/import",
    summary="Import a gateway's configuration in one transaction",
    operation_id="import_gateway",
    responses={200: {"model": GatewayImportAnswer}, **responses(401, 403, 408, 409, 413, 422, 429, 503)},
)
@body_limit(PROJECT_BYTES)
async def import_gateway(
    request: Request,
    body: GatewayImportRequest,
    state: CurrentApp,
    caller: Importer,
    dry_run: DryRun = False,
    skip_literal_keys: Annotated[
        bool,
        Query(description="Of LiteLLM: leave out keys that stand in the file, and name variables instead of them."),
    ] = False,
    on_conflict: Annotated[
        OnConflict | None,
        Query(
            description="What becomes of what others have otherwise. LiteLLM knows `overwrite` alone: it changes model "
            "groups of other gateways. By default 409, with both sides."
        ),
    ] = None,
) -> Response:
    """What the configuration mentions becomes as it has it; everything else stays unchanged.

    Importing the same configuration again changes nothing.
    """
    kind = kind_of(body.files)
    if kind == "litellm":
        read, planned = _litellm(body, skip_literal_keys=skip_literal_keys, on_conflict=on_conflict)
    else:
        read, planned = _tensorzero(body, on_conflict)
    plan, revision = await run_import(request, caller, read, planned, dry_run=dry_run, refresh=not dry_run)
    content = await state.work.parsing.go_on(_json, plan, kind=kind, dry_run=dry_run, revision=revision)
    return Response(content, media_type=JSON)


_Reader = Callable[[], Any]
_Planner = Callable[[Any, Snapshot], ImportPlan]


def _litellm(
    body: GatewayImportRequest, *, skip_literal_keys: bool, on_conflict: OnConflict | None
) -> tuple[_Reader, _Planner]:
    if on_conflict not in {None, "overwrite"}:
        message = f"on_conflict {on_conflict} is for projects of TensorZero; LiteLLM's configurations know overwrite"
        raise Invalid(message)
    file = body.configuration or next(iter(body.files))
    overwrite = on_conflict == "overwrite"
    options = litellm.ImportOptions(body.gateway, file, skip_literal_keys, overwrite, body.wildcards)

    def planned(config: Any, snapshot: Snapshot) -> ImportPlan:  # noqa: ANN401 (what `read` returns)
        return litellm.plan_import(config, snapshot, new_id, options)

    return lambda: parse_config(body.files, body.configuration), planned


def _tensorzero(body: GatewayImportRequest, on_conflict: OnConflict | None) -> tuple[_Reader, _Planner]:
    into = Destination(body.gateway or DEFAULT_GATEWAY, DEFAULT_PROJECT, on_conflict)

    def planned(project: Any, snapshot: Snapshot) -> ImportPlan:  # noqa: ANN401 (what `read` returns)
        return tensorzero.plan_import(project, snapshot, new_id, into=into)

    configuration = None if body.configuration is None else [body.configuration]
    return lambda: parse_project(body.files, configuration), planned


def _json(plan: ImportPlan, *, kind: str, dry_run: bool, revision: int) -> bytes:
    return json_bytes({"dry_run": dry_run, "revision": revision, "kind": kind, **plan.short_report(*_COUNTED)})
