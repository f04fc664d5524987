"""`/v1/models`: the catalogue for clients of OpenAI's interface."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.responses import Response

from model_registry.api.app_state import CurrentApp
from model_registry.api.auth import AnyReader
from model_registry.api.cached_responses import cached_response, json_response
from model_registry.api.guarded_route import GuardedRoute
from model_registry.api.problems import responses
from model_registry.api.resource import JOINED
from model_registry.catalog.openai_models import OpenAIModel, OpenAIModels, openai_model, openai_models
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


_NOT_LISTED: dict[int | str, dict[str, Any]] = {404: {"model": OpenAIProblem, "description": "Not found"}}


@router.get(
    "",
    summary="List offered models (OpenAI-compatible)",
    operation_id="list_openai_models",
    responses={200: {"model": OpenAIModels}, **responses(401, 429, 503)},
)
async def list_openai_models(request: Request, state: CurrentApp, _caller: AnyReader) -> Response:
    """One entry per model name, and one per alias without a context."""
    snapshot = state.registry.snapshot

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
        error = {"type": "invalid_request_error", "param": "model", "code": "model_not_found"}
        problem = {"error": {"message": f"The model '{name}' does not exist.", **error}}
        return json_response(problem, 404)
    return cached_response(request, snapshot, json_bytes(found), tables=JOINED["models"])
