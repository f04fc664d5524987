"""`/api/tensorzero/check` and `/status`: whether a configuration is good, and what becomes of the registry's own."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Body, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from model_registry.api.app_state import CurrentApp
from model_registry.api.auth import ANYBODY, READ_WITH_BODY, Caller, KeyHolder, Reader
from model_registry.api.check_slots import CheckJob
from model_registry.api.guarded_route import PROJECT_BYTES, GuardedRoute, body_limit
from model_registry.api.problems import ProblemReason, responses
from model_registry.api.responses import JSON
from model_registry.entities.secret_values import masked_value
from model_registry.errors import Reason
from model_registry.gateways.publishing.published import CONFIGURATION, published_files
from model_registry.gateways.tensorzero.validation.validate import findings_view
from model_registry.store.json_bytes import json_bytes

router = APIRouter(prefix="/api/tensorzero", tags=["tensorzero"], route_class=GuardedRoute)

_CLIENT_CLOSED_REQUEST = 499
"""Nobody reads it: the caller has left."""


class CheckRequest(BaseModel):
    """A TensorZero project: its TOML files and the files that they name, by path."""

    files: dict[str, str] = Field(
        default={},
        max_length=10_000,
        examples=[{"tensorzero.toml": "[models.m]\n...", "functions/f/system.txt": "..."}],
    )
    configuration: list[str] | None = Field(
        None,
        max_length=10_000,
        examples=[["tensorzero.toml"]],
        description="Which of the files are the configuration; by default all TOML files.",
    )


class GatewayWord(BaseModel):
    """What the real gateway says."""

    asked: bool
    accepted: bool | None
    message: str | None = Field(description="Why it refuses, in its words; or why it was not asked.")
    warnings: list[str]


class CheckAnswer(BaseModel):
    """What there is to say about a configuration."""

    accepted: bool
    revision: int | None = Field(description="Of the registry, when its own configuration was checked.")
    faults: list[ProblemReason]
    deprecated: list[ProblemReason]
    gateway: GatewayWord


class ServedView(BaseModel):
    """The configuration that gateways get."""

    revision: int
    judge: str = Field(examples=["gateway 2026.6.0", "rules"])
    provisional: bool = Field(description="On the rules' word alone, until the gateway has spoken.")
    at: datetime


class RefusedView(BaseModel):
    """A newer configuration that does not go out."""

    revision: int
    judge: str
    at: datetime
    reasons: list[ProblemReason]


class DeliveryStatus(BaseModel):
    """What goes out, what does not, and why."""

    newest_revision: int
    pending: bool = Field(description="Whether the newest configuration is not validated yet.")
    judge: str = Field(description="What validates configurations here.")
    served: ServedView | None
    refused: RefusedView | None


@router.post(
    "/check",
    summary="Check a TensorZero project, or the registry's own configuration",
    operation_id="check_tensorzero",
    openapi_extra=READ_WITH_BODY,
    responses={200: {"model": CheckAnswer}, **responses(401, 422, 429, 503)},
)
@body_limit(PROJECT_BYTES)
async def check(
    request: Request, state: CurrentApp, caller: KeyHolder, body: Annotated[CheckRequest | None, Body()] = None
) -> Response:
    """The rules with place and proposal, old syntax with what replaces it, and the gateway's own word.

    Without files: the newest configuration of the registry, whether it goes out or not. Nothing is written.

    A key is needed when any is configured. Two checks run at once, and a caller has at most two running or waiting;
    a check ends after 60 seconds, or when its caller leaves.
    """
    body = body or CheckRequest()
    revision, configuration = None, body.configuration
    files = {path: text.encode("utf-8", "replace") for path, text in body.files.items()}
    if not files:
        snapshot = state.renderer.damped(state.registry.snapshot, time.time()).snapshot
        rendered = await asyncio.to_thread(state.renderer.of, snapshot)
        revision, configuration, files = snapshot.revision, [CONFIGURATION], published_files(rendered, snapshot)
    with_gateway = state.publisher.validator.gateway is not None
    who = _name_of(caller, request)
    job = CheckJob(files, configuration, gateway=with_gateway, ours=revision is not None)
    findings = await state.checks.check(request, who, job)
    if findings is None:
        return Response(status_code=_CLIENT_CLOSED_REQUEST)
    found, _ = masked_value(findings_view(findings))  # a gateway's words quote what they are about
    return Response(json_bytes(found | {"revision": revision}), media_type=JSON)


@router.get(
    "/status",
    summary="Which configuration goes out, which does not, and why",
    operation_id="get_tensorzero_status",
    responses={200: {"model": DeliveryStatus}, **responses(401, 503)},
)
async def status(state: CurrentApp, _caller: Reader) -> Response:
    """As it is at this moment on this replica."""
    publisher, delivery = state.publisher, state.publisher.delivery
    served, refused = delivery.served, delivery.refused
    view = {
        "newest_revision": state.registry.snapshot.revision,
        "pending": publisher.pending,
        "judge": publisher.validator.name,
        "served": served
        and {
            "revision": served.revision,
            "judge": served.validated_by,
            "provisional": delivery.provisional,
            "at": _moment(served.at),
        },
        "refused": refused
        and {
            "revision": refused.revision,
            "judge": refused.validated_by,
            "at": _moment(refused.at),
            "reasons": _reasons(refused.reasons),
        },
    }
    return Response(json_bytes(masked_value(view)[0]), media_type=JSON)


def _name_of(caller: Caller, request: Request) -> str:
    """Whom the limits count: a key, or without keys an address."""
    if caller is not ANYBODY:
        return f"key {caller.name}"
    return f"address {request.client.host}" if request.client else "somebody"


def _reasons(reasons: tuple[Reason, ...]) -> list[dict[str, str]]:
    return [{"where": reason.where, "message": reason.message} for reason in reasons]


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()
