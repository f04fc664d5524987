"""`/api/models/compare`: several models side by side."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from model_registry.api.app_state import CurrentApp
from model_registry.api.auth import Reader
from model_registry.api.guarded_route import GuardedRoute
from model_registry.api.problems import responses
from model_registry.api.resource import JOINED
from model_registry.api.responses import cached_response
from model_registry.entities.model import Model
from model_registry.errors import Invalid, ModelNotFound, Reason
from model_registry.selection.overviews import Comparison, compare
from model_registry.snapshot.lookup import find_models
from model_registry.snapshot.snapshot import Snapshot
from model_registry.store.json_bytes import json_bytes

router = APIRouter(prefix="/api/models", tags=["models"], route_class=GuardedRoute)

_MOST = 50


@router.get(
    "/compare",
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
    if len(found) > _MOST:
        message = f"selects {len(found)} models; at most {_MOST} can be compared"
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
