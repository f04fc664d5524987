"""`/v1/models`: the catalogue for clients of OpenAI's interface."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel
from starlette.responses import Response

from model_registry.api.app_state import AppState, CurrentApp
from model_registry.api.auth import AnyReader
from model_registry.api.cached_responses import cached_response, json_response
from model_registry.api.guarded_route import GuardedRoute
from model_registry.api.openai_problems import openai_error
from model_registry.api.problems import responses
from model_registry.api.resource import JOINED
from model_registry.catalog.openai_models import OpenAIModel, OpenAIModels, openai_model, openai_models
from model_registry.catalog.views import View
from model_registry.snapshot.snapshot import Snapshot
from model_registry.store.json_bytes import json_bytes

router = APIRouter(prefix="/v1/models", tags=["openai"], route_class=GuardedRoute)


class OpenAIError(BaseModel):
    """Error details in OpenAI's format."""

    message: str
    type: str
    param: str | None
    code: str | None


class OpenAIProblem(BaseModel):
    """An error response in OpenAI's format."""

    error: OpenAIError


OnlyAvailable = Annotated[
    bool | None,
    Query(
        description="Only what can be asked here now: at a provider of OpenAI's protocol whose key is set, or loaded "
        "on a node, and not failing. The default with the role `dispatch`."
    ),
]
_AT_ONCE = 100
"""Names that are looked at before others are answered."""

_NOT_LISTED: dict[int | str, dict[str, Any]] = {404: {"model": OpenAIProblem, "description": "Not found"}}


@router.get(
    "",
    summary="List offered models (OpenAI-compatible)",
    operation_id="list_openai_models",
    responses={200: {"model": OpenAIModels}, **responses(401, 429, 503)},
)
async def list_openai_models(
    request: Request, state: CurrentApp, _caller: AnyReader, available: OnlyAvailable = None
) -> Response:
    """One entry per model name, and one per alias without a context."""
    snapshot = state.registry.snapshot
    if available if available is not None else state.settings.role == "dispatch":
        return json_response({"object": "list", "data": await _available(state, snapshot)})

    def make() -> bytes:
        return json_bytes({"object": "list", "data": openai_models(snapshot)})

    body = await state.work.listed(request, len(snapshot.models), make)
    return cached_response(request, snapshot, body, tables=JOINED["models"])


@router.get(
    "/{name:path}",
    summary="Get an offered model (OpenAI-compatible)",
    operation_id="get_openai_model",
    responses={200: {"model": OpenAIModel}, **_NOT_LISTED, **responses(401, 503)},
)
async def get_openai_model(request: Request, name: str, state: CurrentApp, _caller: AnyReader) -> Response:
    """Look a model up by name, or by an alias without a context."""
    snapshot = state.registry.snapshot
    found = openai_model(snapshot, name)
    if found is None:
        message = f"The model '{name}' does not exist."
        return json_response(openai_error(message, "invalid_request_error", "model_not_found", "model"), 404)
    return cached_response(request, snapshot, json_bytes(found), tables=JOINED["models"])


async def _available(state: AppState, snapshot: Snapshot) -> list[View]:
    """The entries of what can be asked now. Not kept: breakers open and close without a change of the registry."""
    balancer, now = state.dispatcher.balancer, time.monotonic()
    entries = []
    for number, entry in enumerate(openai_models(snapshot), 1):
        if state.language_models.is_available(
            snapshot, entry["id"], lambda key: balancer.view(key, now).breaker != "open"
        ):
            entries.append(entry)
        if number % _AT_ONCE == 0:
            await asyncio.sleep(0)
    return entries
