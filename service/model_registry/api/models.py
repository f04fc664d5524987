"""`/api/models`: the catalogue."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from model_registry.api.auth import Reader
from model_registry.api.parameters import Limit, Offset
from model_registry.api.problems import responses
from model_registry.api.resource import add_row_routes, page, rows
from model_registry.api.state import Service
from model_registry.catalog.nouns import MODEL
from model_registry.catalog.search import search_models
from model_registry.catalog.views import ModelView

router = APIRouter(prefix="/api/models", tags=["models"])


@router.get(
    "",
    summary="Models, by name, then in routing order",
    operation_id="list_models",
    responses={200: {"model": page("ModelList", ModelView)}, **responses(401, 422, 503)},
)
async def list_models(
    request: Request,
    service: Service,
    _caller: Reader,
    model_type: Annotated[
        str | None, Query(description="A model type, or a synonym: llm, vision.", examples=["chat"])
    ] = None,
    provider: Annotated[str | None, Query(description="A provider's name, id or type.", examples=["openai"])] = None,
    capability: Annotated[list[str] | None, Query(description="Repeatable: all must hold.")] = None,
    name: Annotated[str | None, Query(description="The model key: every provider's row of it.")] = None,
    active: bool | None = None,
    limit: Limit = None,
    offset: Offset = 0,
) -> Response:
    """All models that pass the filters."""
    snapshot = service.registry.snapshot
    found = search_models(
        snapshot, model_type=model_type, provider=provider, capabilities=capability or (), name=name, active=active
    )
    return rows(request, snapshot, MODEL, found, limit, offset)


add_row_routes(router, MODEL)
