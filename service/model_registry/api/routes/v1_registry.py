"""`/api/v1/registry`: the catalogue in Model Garden's envelopes, and as one document."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field, create_model
from starlette.responses import Response

from model_registry.api.app_state import CurrentApp
from model_registry.api.auth import READ_WITH_BODY, DryRun, Importer, Reader
from model_registry.api.cached_responses import JSON, cached_response, json_response
from model_registry.api.edits import new_id, run_import
from model_registry.api.guarded_route import PROJECT_BYTES, QUESTION_BYTES, GuardedRoute, body_limit
from model_registry.api.long_work import while_there
from model_registry.api.problems import responses
from model_registry.entities.document import Document, DocumentModel, document_schema
from model_registry.entities.fitness import FitnessResult, Hardware, Use
from model_registry.entities.gpu_memory import TrainingSettings
from model_registry.entities.model import CategoryFacts
from model_registry.errors import Incomplete, Invalid, Reason
from model_registry.garden.document import DOCUMENT_TABLES, exported, plan_document, read_document
from model_registry.garden.views import garden_categories, garden_fitness, garden_model, garden_models
from model_registry.imports.plan import Action, ImportPlan
from model_registry.snapshot.snapshot import Snapshot
from model_registry.store.json_bytes import json_bytes

router = APIRouter(prefix="/api/v1/registry", tags=["model garden"], route_class=GuardedRoute)

_COUNTED: tuple[Action, ...] = ("created", "changed", "unchanged", "ignored")


class GardenSummary(BaseModel):
    """Fields beside a model, in lists and alone."""

    is_vision: bool
    is_quantized: bool
    min_vram_gb: float | None
    recommended_vram_gb: float | None
    offered: bool = Field(
        description="Whether the model is available for selection: active, with a status that allows it."
    )


class GardenRow(GardenSummary):
    """A model in a list."""

    id: str = Field(examples=["unsloth/tinyllama-bnb-4bit"])
    name: str = Field(description="Display name.")
    category: str | None
    provider: str | None
    base_architecture: str | None
    parameters: str | None
    description: str | None
    tags: list[str]
    status: str = Field(description="`stable` corresponds to `active` elsewhere in this API.")


class GardenDetails(DocumentModel, GardenSummary):
    """A model with all known facts."""

    model_config = ConfigDict(title="GardenDetails")


class ValidationRequest(Hardware, TrainingSettings):
    """The model, the hardware to run it on (as fields beside the id, or in `hardware`), and how to train it."""

    model_id: str | None = Field(None, max_length=400, examples=["unsloth/tinyllama-bnb-4bit"])
    hardware: Hardware | None = None


class DocumentEntry(BaseModel):
    """One entry of the document and the action taken."""

    action: Literal["created", "changed", "unchanged", "ignored"]
    kind: str
    name: str
    detail: str


class DocumentImport(BaseModel):
    """The result of an import, or of its dry run."""

    dry_run: bool
    revision: int
    report: list[DocumentEntry]
    created: int
    changed: int
    unchanged: int
    ignored: int = Field(description="Number of unknown keys, which are not kept.")


def _envelope(name: str, content: str, data: Any, **more: Any) -> type[BaseModel]:  # noqa: ANN401 (types)
    """The documented shape of Model Garden's answers."""
    fields: dict[str, Any] = {"success": (Literal[True], ...), "data": (data, ...), **more}
    return create_model(name, __doc__=f"The envelope of {content}.", **fields)


GardenRows = _envelope("GardenRows", "a list", list[GardenRow], total=(int, ...))
GardenOne = _envelope("GardenOne", "one model", GardenDetails)
GardenCategories = _envelope("GardenCategories", "the categories, by key", dict[str, CategoryFacts])
GardenFitness = _envelope("GardenVerdict", "a validation result", FitnessResult)
DocumentImported = _envelope("DocumentImported", "an import", DocumentImport)


@router.get(
    "/models",
    summary="List all models (Model Garden)",
    operation_id="list_garden_models",
    responses={200: {"model": GardenRows}, **responses(401, 422, 503)},
)
async def list_models(
    request: Request,
    state: CurrentApp,
    _caller: Reader,
    category: Annotated[str | None, Query(description="Only models in this category.", examples=["text-llm"])] = None,
) -> Response:
    """All models of every status; `offered` marks those available for selection."""
    snapshot = state.registry.snapshot
    rows = garden_models(snapshot, category)
    return _enveloped(request, snapshot, rows, total=len(rows))


@router.get(
    "/models/{model_id:path}",
    summary="Get a model with defaults, requirements and capabilities (Model Garden)",
    operation_id="get_garden_model",
    responses={200: {"model": GardenOne}, **responses(401, 404, 409, 503)},
)
async def get_model(request: Request, model_id: str, state: CurrentApp, _caller: Reader) -> Response:
    """Look a model up by its provider's name for it, by its registry name, or by row id. Ids may contain slashes."""
    snapshot = state.registry.snapshot
    return _enveloped(request, snapshot, garden_model(snapshot, model_id))


@router.get(
    "/categories",
    summary="List categories (Model Garden)",
    operation_id="list_garden_categories",
    responses={200: {"model": GardenCategories}, **responses(401, 503)},
)
async def list_categories(request: Request, state: CurrentApp, _caller: Reader) -> Response:
    """All categories, by key."""
    snapshot = state.registry.snapshot
    return _enveloped(request, snapshot, garden_categories(snapshot))


@router.post(
    "/validate/training",
    summary="Check whether a model can be trained, optionally on given hardware",
    operation_id="validate_training",
    openapi_extra=READ_WITH_BODY,
    responses={200: {"model": GardenFitness}, **responses(400, 401, 422, 503)},
)
@body_limit(QUESTION_BYTES)
async def validate_training(body: ValidationRequest, state: CurrentApp, _caller: Reader) -> Response:
    """An unknown model yields `is_valid: false`, not an error. With a `method`, memory is estimated for it."""
    return _validated(state.registry.snapshot, body, "training")


@router.post(
    "/validate/inference",
    summary="Check whether a model can be served, optionally on given hardware",
    operation_id="validate_inference",
    openapi_extra=READ_WITH_BODY,
    responses={200: {"model": GardenFitness}, **responses(400, 401, 422, 503)},
)
@body_limit(QUESTION_BYTES)
async def validate_inference(body: ValidationRequest, state: CurrentApp, _caller: Reader) -> Response:
    """An unknown model yields `is_valid: false`, not an error."""
    return _validated(state.registry.snapshot, body, "inference")


@router.get(
    "/schema",
    summary="Get the JSON Schema of models_registry.json",
    operation_id="get_document_schema",
    responses={200: {"model": dict[str, Any]}, **responses(401, 503)},
)
async def get_schema(request: Request, state: CurrentApp, _caller: Reader) -> Response:
    """JSON Schema draft 2020-12."""
    return cached_response(request, state.registry.snapshot, json_bytes(document_schema()), tables=())


@router.get(
    "/document",
    summary="Export the catalogue as models_registry.json",
    operation_id="get_document",
    responses={200: {"model": Document}, **responses(401, 503)},
)
async def get_document(request: Request, state: CurrentApp, _caller: Reader) -> Response:
    """Providers, categories, models and aliases, without the functions and mappings that use them."""
    snapshot = state.registry.snapshot
    body = await while_there(request, state.work.history.run(lambda: json_bytes(exported(snapshot))))
    return cached_response(request, snapshot, body, tables=DOCUMENT_TABLES)


@router.put(
    "/document",
    summary="Import a models_registry.json in one transaction",
    operation_id="put_document",
    responses={200: {"model": DocumentImported}, **responses(401, 403, 408, 409, 412, 413, 422, 429, 503)},
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {JSON: {"schema": {"$ref": "#/components/schemas/Document"}}},
        }
    },
)
@body_limit(PROJECT_BYTES)
async def put_document(
    request: Request,
    state: CurrentApp,
    caller: Importer,
    dry_run: DryRun = False,
) -> Response:
    """Values in the document overwrite stored ones; models and facts not in the document stay unchanged.

    Importing the same document again changes nothing.
    """
    plan, revision = await run_import(
        request,
        caller,
        partial(read_document, await request.body()),
        lambda document, snapshot: plan_document(document, snapshot, new_id),
        dry_run=dry_run,
        refresh=True,
    )
    content = await state.work.parsing.go_on(_json, plan, dry_run=dry_run, revision=revision)
    return Response(content, media_type=JSON)


def _json(plan: ImportPlan, *, dry_run: bool, revision: int) -> bytes:
    data = {"dry_run": dry_run, "revision": revision, **plan.short_report(*_COUNTED)}
    return json_bytes({"success": True, "data": data})


def _enveloped(request: Request, snapshot: Snapshot, data: object, **more: object) -> Response:
    body = json_bytes({"success": True, "data": data, **more})
    return cached_response(request, snapshot, body, tables=DOCUMENT_TABLES)


def _validated(snapshot: Snapshot, body: ValidationRequest, use: Use) -> Response:
    if not body.model_id:
        message = "model_id is required."
        raise Incomplete(message, reasons=[Reason("model_id", message)])
    if use == "inference":
        given = sorted(body.model_fields_set & TrainingSettings.model_fields.keys())
        if reasons := [Reason(field, "is about training: ask /validate/training") for field in given]:
            raise Invalid(f"{', '.join(given)}: only for training. Ask /validate/training.", reasons=reasons)
    below = body.hardware.model_dump(exclude_none=True) if body.hardware else {}
    beside = body.model_dump(include=set(Hardware.model_fields), exclude_none=True)
    fitness = garden_fitness(snapshot, body.model_id, use, Hardware(**{**below, **beside}), body)
    return json_response({"success": True, "data": fitness.model_dump()})
