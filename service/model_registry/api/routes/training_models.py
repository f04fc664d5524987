"""`/models/...` and `/api/v1/models/...`: the models that can be trained, for programs that know training services."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from model_registry.api.app_state import CurrentApp
from model_registry.api.auth import Reader
from model_registry.api.cached_responses import cached_response
from model_registry.api.guarded_route import GuardedRoute
from model_registry.api.problems import responses
from model_registry.catalog.training_models import TRAINING_TABLES, entry_of, find_entry, find_entry_by_name
from model_registry.catalog.training_sources import PARTIAL_TABLES, header_list, partial_header
from model_registry.catalog.training_views import (
    ComparedModels,
    Guide,
    TrainingList,
    TrainingModel,
    comparison_view,
    guide_view,
)
from model_registry.entities.training_entry import Entry
from model_registry.errors import Incomplete, ModelNotFound, Reason
from model_registry.selection.training_list import TrainingFilter, listed_models
from model_registry.snapshot.snapshot import Snapshot
from model_registry.store.json_bytes import json_bytes

service = APIRouter(prefix="/models", tags=["training models"], route_class=GuardedRoute)
backend = APIRouter(prefix="/api/v1/models", tags=["training models"], route_class=GuardedRoute)
ROUTERS = (service, backend)

_MOST_COMPARED = 100

Framework = Annotated[str | None, Query(description="Only of this framework.", examples=["timm"])]
TaskType = Annotated[str | None, Query(description="Only for this task.", examples=["object_detection"])]
Tags = Annotated[str | None, Query(description="Separated by commas: any of them.", examples=["p0,latest"])]
Priority = Annotated[int | None, Query(ge=0, le=2, description="0 is the first choice.")]


async def _conditions(
    framework: Framework = None, task_type: TaskType = None, tags: Tags = None, priority: Priority = None
) -> TrainingFilter:
    wanted = frozenset(tag for part in (tags or "").split(",") if (tag := part.strip()))
    return TrainingFilter(framework or None, task_type or None, wanted, priority)


Conditions = Annotated[TrainingFilter, Depends(_conditions)]
"""Of both lists."""
OfFramework = Annotated[str, Query(description="The model's framework.", examples=["huggingface"])]
OfName = Annotated[
    str, Query(description="The model's name, slashes included.", examples=["caidas/swin2SR-classical-sr-x2-64"])
]


@service.get(
    "/list",
    summary="List models that can be trained, as a training service does",
    operation_id="list_training_entries",
    responses={200: {"model": TrainingList}, **responses(401, 422, 429, 503)},
)
async def list_entries(
    request: Request,
    state: CurrentApp,
    _caller: Reader,
    conditions: Conditions,
) -> Response:
    """Whole entries of all frameworks, as their sources wrote them. `X-Registry-Partial` names sources that fail."""
    snapshot = state.registry.snapshot
    index = state.indexes.of(snapshot)

    def make() -> bytes:
        entries = [entry_of(listed.model) for listed in listed_models(snapshot, index, conditions)]
        return json_bytes({"framework": conditions.framework or "all", "model_count": len(entries), "models": entries})

    return _answer(request, snapshot, await state.work.listed(request, snapshot.models.key_count("training"), make))


@service.get(
    "/{name:path}",
    summary="Get a model that can be trained, as a training service does",
    operation_id="get_training_entry",
    responses={200: {"model": dict[str, Any]}, **responses(401, 404, 409, 503)},
)
async def get_by_name(
    request: Request, name: str, state: CurrentApp, _caller: Reader, framework: Framework = None
) -> Response:
    """The whole entry. Where several frameworks have the name, ask for `framework/name`."""
    snapshot = state.registry.snapshot
    entry = find_entry(snapshot, framework, name) if framework else find_entry_by_name(snapshot, name)
    return _answer(request, snapshot, json_bytes(entry))


@backend.get(
    "/list",
    summary="List models that can be trained, as a bare array",
    operation_id="list_training_models",
    responses={200: {"model": list[TrainingModel]}, **responses(401, 422, 429, 503)},
)
async def list_models(
    request: Request,
    state: CurrentApp,
    _caller: Reader,
    conditions: Conditions,
) -> Response:
    """The common fields of all entries. `X-Registry-Partial` names sources that fail."""
    snapshot = state.registry.snapshot
    index = state.indexes.of(snapshot)

    def make() -> bytes:
        return b"[%b]" % b",".join(listed.json for listed in listed_models(snapshot, index, conditions))

    return _answer(request, snapshot, await state.work.listed(request, snapshot.models.key_count("training"), make))


@backend.get(
    "/get",
    summary="Get a model that can be trained",
    operation_id="get_training_model",
    responses={200: {"model": dict[str, Any]}, **responses(401, 404, 422, 503)},
)
async def get_model(
    request: Request, framework: OfFramework, model_name: OfName, state: CurrentApp, _caller: Reader
) -> Response:
    """The whole entry, as its source wrote it."""
    snapshot = state.registry.snapshot
    return _answer(request, snapshot, json_bytes(find_entry(snapshot, framework, model_name)))


@backend.get(
    "/guide",
    summary="Get the guide of a model that can be trained",
    operation_id="get_training_guide",
    responses={200: {"model": Guide}, **responses(401, 404, 422, 503)},
)
async def get_guide(
    request: Request, framework: OfFramework, model_name: OfName, state: CurrentApp, _caller: Reader
) -> Response:
    """Benchmarks, use cases, pros and cons, alternatives and settings."""
    snapshot = state.registry.snapshot
    return _answer(request, snapshot, json_bytes(guide_view(find_entry(snapshot, framework, model_name))))


@backend.get(
    "/compare",
    summary="Compare models that can be trained",
    operation_id="compare_training_models",
    responses={200: {"model": ComparedModels}, **responses(400, 401, 404, 422, 503)},
)
async def compare_models(
    request: Request,
    models: Annotated[
        str,
        Query(description="`framework:name`, separated by commas.", examples=["timm:resnet50,ultralytics:yolo11n"]),
    ],
    state: CurrentApp,
    _caller: Reader,
) -> Response:
    """Those that are not found are left out, and named in `X-Registry-Not-Found`."""
    snapshot = state.registry.snapshot
    found: list[Entry] = []
    missing: list[str] = []
    for framework, name in _named(models):
        try:
            found.append(find_entry(snapshot, framework, name))
        except ModelNotFound:
            missing.append(f"{framework}:{name}")
    if not found:
        raise ModelNotFound("No valid models found for comparison")
    body = json_bytes({"models": [comparison_view(entry) for entry in found], "count": len(found)})
    return _answer(request, snapshot, body, missing)


@backend.get(
    "/{framework}/{name:path}/guide",
    summary="Get the guide of a model that can be trained, by path",
    operation_id="get_training_guide_by_path",
    responses={200: {"model": Guide}, **responses(401, 404, 503)},
)
async def get_guide_by_path(
    request: Request, framework: str, name: str, state: CurrentApp, _caller: Reader
) -> Response:
    """As `GET /api/v1/models/guide`."""
    return await get_guide(request, framework, name, state, _caller)


@backend.get(
    "/{framework}/{name:path}",
    summary="Get a model that can be trained, by path",
    operation_id="get_training_model_by_path",
    responses={200: {"model": dict[str, Any]}, **responses(401, 404, 503)},
)
async def get_model_by_path(
    request: Request, framework: str, name: str, state: CurrentApp, _caller: Reader
) -> Response:
    """As `GET /api/v1/models/get`."""
    return await get_model(request, framework, name, state, _caller)


def _named(models: str) -> Iterable[tuple[str, str]]:
    """Return the models of `framework:name,...`. Errors: Incomplete."""
    specifications = [part.strip() for part in models.split(",")]
    if len(specifications) > _MOST_COMPARED:
        raise Incomplete(f"At most {_MOST_COMPARED} models are compared, not {len(specifications)}.")
    for specification in specifications:
        framework, _, name = specification.partition(":")
        if not framework or not name or ":" in name:
            message = f"Invalid model specification: '{specification}'. Expected format: 'framework:model_name'"
            raise Incomplete(message, reasons=[Reason("models", message)])
        yield framework, name


def _answer(request: Request, snapshot: Snapshot, body: bytes, missing: Iterable[str] = ()) -> Response:
    """Answer from memory, with what the list may lack: sources that fail, and models that were not found."""
    headers = {"X-Registry-Partial": partial_header(snapshot), "X-Registry-Not-Found": header_list(missing)}
    tables = (*TRAINING_TABLES, *PARTIAL_TABLES)
    given = {name: value for name, value in headers.items() if value}
    return cached_response(request, snapshot, body, tables=tables, headers=given)
