"""`/api/models`: the catalogue."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, HTTPException, Query, Request
from pydantic import BaseModel
from starlette.responses import Response

from model_registry.api.auth import Administrator, Reader
from model_registry.api.parameters import ModelQuery
from model_registry.api.problems import responses
from model_registry.api.resource import FILTERED_MODELS, JOINED, add_row_routes, cut, listed, page
from model_registry.api.responses import JSON, answer
from model_registry.api.state import Service
from model_registry.catalog.comparison import Comparison, compare
from model_registry.catalog.lookup import as_uuid, find_model, find_models
from model_registry.catalog.model_filter import search_models
from model_registry.catalog.model_stats import ModelStats, model_stats
from model_registry.catalog.nouns import MODEL
from model_registry.catalog.snapshot import Snapshot
from model_registry.catalog.views import ModelVersionView, ModelView, model_version_view, model_view
from model_registry.entities.model import Model
from model_registry.errors import Invalid, ModelNotFound, Reason
from model_registry.store.json_bytes import json_bytes

router = APIRouter(prefix="/api/models", tags=["models"])

_MOST_COMPARED = 50


class ModelVersion(BaseModel):
    """A state that a model was in."""

    revision: int
    at: str
    actor: str
    operation: Literal["insert", "update", "delete"]
    model: ModelVersionView | None
    """From this revision on; null: deleted."""


class ModelVersions(BaseModel):
    """A page of a model's states, oldest first."""

    items: list[ModelVersion]
    count: int
    next_after: int | None
    """Ask with `after` set to this for the next page; null on the last one."""


@router.get(
    "",
    summary="Models, by name, then in routing order",
    operation_id="list_models",
    responses={200: {"model": page("ModelList", ModelView)}, **responses(401, 422, 503)},
)
async def list_models(
    request: Request, service: Service, _caller: Reader, query: Annotated[ModelQuery, Query()]
) -> Response:
    """All models that pass the filters, in their stable order or sorted by any number."""
    snapshot = service.registry.snapshot
    found = search_models(snapshot, service.indexes.of(snapshot), query, query.sort)
    items = [model_view(snapshot, model) for model in cut(found, query.limit, query.offset)]
    return listed(request, snapshot, items, len(found), FILTERED_MODELS)


# Before the routes of one row: those take every path below the list. A model that has such a name is asked for by id.
@router.get(
    "/stats",
    summary="The catalogue in numbers",
    operation_id="model_stats",
    responses={200: {"model": ModelStats}, **responses(401, 503)},
)
async def stats(request: Request, service: Service, _caller: Reader) -> Response:
    """How many models of what kind there are, and between what their prices and other numbers lie."""
    snapshot = service.registry.snapshot
    found = model_stats(snapshot, service.indexes.of(snapshot))
    return answer(request, snapshot, json_bytes(found), tables=JOINED["models"])


@router.get(
    "/compare",
    summary="Several models side by side",
    operation_id="compare_models",
    responses={200: {"model": Comparison}, **responses(401, 404, 422, 503)},
)
async def compare_models(
    request: Request,
    service: Service,
    _caller: Reader,
    ids: Annotated[
        list[str],
        Query(
            description="Ids, names, providers' names or aliases: repeated, or with commas between them. A name that "
            "several providers have means all its rows.",
            examples=[["qwen3_8b", "gpt_5_4_nano"]],
        ),
    ],
) -> Response:
    """Each field of the models: whether it differs, and of numbers, where one can say so, which is best."""
    snapshot = service.registry.snapshot
    found = list({model.id: model for reference in ids for model in _meant(snapshot, reference)}.values())
    if len(found) > _MOST_COMPARED:
        message = f"means {len(found)} models; at most {_MOST_COMPARED} can be compared"
        raise Invalid(f"ids {message}.", reasons=[Reason("ids", message)])
    return answer(request, snapshot, json_bytes(compare(snapshot, found)), tables=JOINED["models"])


@router.get(
    "/{reference:path}/versions",
    summary="Every state that a model was in, oldest first",
    operation_id="list_model_versions",
    responses={200: {"model": ModelVersions}, **responses(401, 404, 409, 422, 503)},
)
async def versions(
    reference: str,
    service: Service,
    _caller: Reader,
    after: Annotated[int, Query(ge=0, le=2**62, description="Only states after this revision.")] = 0,
    limit: Annotated[int, Query(ge=1, le=1000, description="At most so many states.")] = 100,
) -> Response:
    """From the change log, which may have been trimmed; also of a model that was deleted, by its id."""
    row_id = as_uuid(reference)
    if row_id is None or service.registry.snapshot.models.get(row_id) is not None:
        row_id = find_model(service.registry.snapshot, reference).id
    found = await service.registry.changes(after=after, table=MODEL.table, row_id=row_id, limit=limit)
    if not found["count"] and service.registry.snapshot.models.get(row_id) is None:
        raise ModelNotFound(f"There is no model {reference!r}, and the change log knows of none.")
    items = [_version(change) for change in found["items"]]
    return Response(json_bytes({**found, "items": items}), media_type=JSON)


@router.api_route("/{reference:path}/versions", methods=["PUT", "PATCH", "DELETE"], include_in_schema=False)
@router.api_route("/{reference:path}/deployments", methods=["PUT", "PATCH", "DELETE"], include_in_schema=False)
async def refuse_to_edit_what_is_below(_caller: Administrator) -> None:
    """Or it would be taken for a model whose name ends so, which has to be edited by its id."""
    raise HTTPException(405, headers={"Allow": "GET"})


add_row_routes(router, MODEL)


def _meant(snapshot: Snapshot, reference: str) -> list[Model]:
    """The models of one value of `ids`: a reference, else several with commas between them."""
    try:
        return find_models(snapshot, reference)
    except ModelNotFound:
        parts = [part for part in reference.split(",") if part]
        if len(parts) < 2:  # noqa: PLR2004 (nothing to take apart)
            raise
        return [model for part in parts for model in find_models(snapshot, part)]


def _version(change: dict[str, Any]) -> dict[str, Any]:
    """A state, of an entry of the change log. Rows that an older release wrote have fewer columns."""
    row = change["after"]
    model = None if row is None else model_version_view(Model.model_validate(row))
    return {key: change[key] for key in ("revision", "at", "actor", "operation")} | {"model": model}
