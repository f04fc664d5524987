"""`/api/models/{id}/versions`: all versions of a model."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel
from starlette.responses import Response

from model_registry.api.app_state import CurrentApp
from model_registry.api.auth import NEEDS_KEY, KeyHolder
from model_registry.api.guarded_route import GuardedRoute
from model_registry.api.problems import responses
from model_registry.api.responses import JSON
from model_registry.catalog.resources import MODEL
from model_registry.catalog.views import ModelVersionView, model_version_view
from model_registry.entities.model import Model
from model_registry.errors import ModelNotFound
from model_registry.snapshot.lookup import as_uuid, find_model
from model_registry.store.json_bytes import json_bytes

router = APIRouter(prefix="/api/models", tags=["models"], route_class=GuardedRoute)


class ModelVersion(BaseModel):
    """A version of a model."""

    revision: int
    at: str
    actor: str
    operation: Literal["insert", "update", "delete"]
    model: ModelVersionView | None
    """The model from this revision on; null if deleted."""


class ModelVersions(BaseModel):
    """A page of a model's versions, oldest first."""

    items: list[ModelVersion]
    count: int | None
    """Number of all versions; null (not counted) beyond 1,000."""
    next_after: int | None
    """`after` of the next page; null on the last page."""


@router.get(
    "/{reference:path}/versions",
    summary="List all versions of a model, oldest first",
    operation_id="list_model_versions",
    openapi_extra=NEEDS_KEY,
    responses={200: {"model": ModelVersions}, **responses(401, 403, 404, 409, 422, 503)},
)
async def versions(
    reference: str,
    state: CurrentApp,
    _caller: KeyHolder,
    after: Annotated[int, Query(ge=0, le=2**62, description="Only versions after this revision.")] = 0,
    limit: Annotated[int, Query(ge=1, le=1000, description="Maximum number of versions.")] = 100,
) -> Response:
    """From the change log, which may have been trimmed. Includes deleted models, by id."""
    row_id = as_uuid(reference)
    if row_id is None or state.registry.snapshot.models.get(row_id) is not None:
        row_id = find_model(state.registry.snapshot, reference).id
    found = await state.history.changes(after=after, table=MODEL.table, row_id=row_id, limit=limit)
    if found["count"] == 0 and state.registry.snapshot.models.get(row_id) is None:
        raise ModelNotFound(f"There is no model {reference!r}, and the change log has no record of one.")
    items = [_version(change) for change in found["items"]]
    return Response(json_bytes({**found, "items": items}), media_type=JSON)


def _version(change: dict[str, Any]) -> dict[str, Any]:
    """The version in an entry of the change log. Rows written by an older release have fewer columns."""
    row = change["after"]
    model = None if row is None else model_version_view(Model.model_validate(row))
    return {key: change[key] for key in ("revision", "at", "actor", "operation")} | {"model": model}
