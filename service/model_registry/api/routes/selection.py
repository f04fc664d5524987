"""Choosing a model: `/api/models/select`, `/api/models/compare`, `/api/costs`, `/api/compatibility`."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from model_registry.api.app_state import CurrentApp
from model_registry.api.auth import READ_WITH_BODY, Reader
from model_registry.api.cached_responses import cached_response, json_response
from model_registry.api.guarded_route import QUESTION_BYTES, GuardedRoute, body_limit
from model_registry.api.problems import responses
from model_registry.api.resource import FILTERED_MODELS, JOINED, ModelQuery, paginate
from model_registry.entities.model import Model
from model_registry.errors import Invalid, ModelNotFound, Reason
from model_registry.selection.estimates import EstimateRequest, Estimates, estimates
from model_registry.selection.list_filters import search_models
from model_registry.selection.overviews import Comparison, Compatibility, columns, compare, compatibility_row
from model_registry.selection.request import SelectionRequest
from model_registry.selection.select import Selection, select
from model_registry.snapshot.lookup import find_models
from model_registry.snapshot.snapshot import Snapshot
from model_registry.store.json_bytes import json_bytes

router = APIRouter(prefix="/api", tags=["models"], route_class=GuardedRoute)

_MOST_COMPARED = 50


@router.post(
    "/models/select",
    summary="Select the best models for a request, with reasons",
    operation_id="select_models",
    openapi_extra=READ_WITH_BODY,
    responses={200: {"model": Selection}, **responses(401, 422, 503)},
)
@body_limit(QUESTION_BYTES)
async def select_models(asked: SelectionRequest, state: CurrentApp, _caller: Reader) -> Response:
    """Returns models that meet all constraints, best first, each with the parts of its score. Only reads.

    Excluded models are counted by constraint, and the first of them listed with their reasons.
    """
    snapshot = state.registry.snapshot
    return json_response(select(snapshot, state.indexes.of(snapshot), asked))


@router.post(
    "/costs/estimate",
    summary="Estimate the cost of requests at several models",
    operation_id="estimate_costs",
    openapi_extra=READ_WITH_BODY,
    responses={200: {"model": Estimates}, **responses(401, 404, 422, 503)},
)
@body_limit(QUESTION_BYTES)
async def estimate_costs(asked: EstimateRequest, state: CurrentApp, _caller: Reader) -> Response:
    """Exact to the last digit, cheapest model first. Models without a known price are listed separately."""
    snapshot = state.registry.snapshot
    return json_response(estimates(snapshot, state.indexes.of(snapshot), asked))


@router.get(
    "/models/compare",
    summary="Compare models side by side",
    operation_id="compare_models",
    responses={200: {"model": Comparison}, **responses(401, 404, 422, 503)},
)
async def compare_models(
    request: Request,
    state: CurrentApp,
    _caller: Reader,
    ids: Annotated[
        list[str],
        Query(
            description="Ids, names, providers' names or aliases; repeated or comma-separated. A name shared by "
            "several providers selects all its rows.",
            examples=[["qwen3_8b", "gpt_5_4_nano"]],
        ),
    ],
) -> Response:
    """For each field, whether it differs between the models and, for comparable numbers, which model is best."""
    snapshot = state.registry.snapshot
    found = list({model.id: model for reference in ids for model in _meant(snapshot, reference)}.values())
    if len(found) > _MOST_COMPARED:
        message = f"selects {len(found)} models; at most {_MOST_COMPARED} can be compared"
        raise Invalid(f"ids {message}.", reasons=[Reason("ids", message)])
    return cached_response(request, snapshot, json_bytes(compare(snapshot, found)), tables=JOINED["models"])


def _meant(snapshot: Snapshot, reference: str) -> list[Model]:
    """The models of one value of `ids`: one reference, or several separated by commas."""
    try:
        return find_models(snapshot, reference)
    except ModelNotFound:
        parts = [part for part in reference.split(",") if part]
        if len(parts) < 2:  # noqa: PLR2004 (nothing to take apart)
            raise
        return [model for part in parts for model in find_models(snapshot, part)]


@router.get(
    "/compatibility",
    summary="List models by capability, as a matrix",
    operation_id="list_compatibility",
    responses={200: {"model": Compatibility}, **responses(401, 422, 503)},
)
async def list_compatibility(
    request: Request, state: CurrentApp, _caller: Reader, query: Annotated[ModelQuery, Query()]
) -> Response:
    """Rows are the models that match the filters; columns are all capabilities in the catalogue."""
    snapshot = state.registry.snapshot
    index = state.indexes.of(snapshot)
    found = search_models(snapshot, index, query, query.sort)
    capabilities = columns(index)
    items = [compatibility_row(snapshot, model, capabilities) for model in paginate(found, query.limit, query.offset)]
    body = {"capabilities": capabilities, "items": items, "count": len(found)}
    return cached_response(request, snapshot, json_bytes(body), tables=FILTERED_MODELS)
