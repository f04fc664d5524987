"""`/api/gateways/{gateway}/check` and `/status`: validation of a project, and the state of the registry's own.

The same at `/api/tensorzero/...`.
"""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import Body, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from model_registry.api.app_state import CurrentApp
from model_registry.api.auth import READ_WITH_BODY, KeyHolder, Reader
from model_registry.api.cached_responses import json_response
from model_registry.api.check_slots import CheckerJob, CheckJob, name_of
from model_registry.api.gateways.named_gateway import GatewayRoutes, Named, NamedGateway
from model_registry.api.gateways.promotion_shapes import NamedVariable
from model_registry.api.guarded_route import PROJECT_BYTES, body_limit
from model_registry.api.problems import ProblemReason, responses
from model_registry.api.publication import ExclusionView
from model_registry.entities.promotion import Promotion
from model_registry.entities.secret_values import masked_value
from model_registry.errors import Invalid, Reason
from model_registry.gateways.kind import Files, Findings
from model_registry.gateways.publishing.publishable import RULES
from model_registry.gateways.publishing.published import Published
from model_registry.gateways.tensorzero.kind import TENSORZERO
from model_registry.gateways.tensorzero.validation.validate import findings_view

_routes = GatewayRoutes()
ROUTERS = _routes.routers

CLIENT_CLOSED_REQUEST = 499
"""For a caller who has closed the connection."""


_WARNINGS = Field(description="What is accepted, and probably not meant.")
_BY_RULES = Field(description="Keys of the parts that need a database, and so were checked by the rules alone.")


class CheckRequest(BaseModel):
    """A project of the gateway's kind: its configuration and the files it refers to, by path."""

    files: dict[str, str] = Field(
        default={},
        max_length=10_000,
        examples=[{"tensorzero.toml": "[models.m]\n...", "functions/f/system.txt": "..."}],
    )
    configuration: list[str] | None = Field(
        None,
        max_length=10_000,
        examples=[["tensorzero.toml"]],
        description="Of `tensorzero`: paths of the configuration files; by default all TOML files.",
    )


class GatewayWord(BaseModel):
    """The result of loading the project with the gateway itself."""

    asked: bool
    accepted: bool | None
    message: str | None = Field(description="Why the gateway refused, in its own words; or why it was not asked.")
    warnings: list[str]
    by_rules: list[str] = Field(
        description="Keys of the parts that need a database, and so were checked by the rules and not by the gateway.",
        examples=[["functions.f.experimentation"]],
    )


class CheckAnswer(BaseModel):
    """The findings about a configuration."""

    accepted: bool
    revision: int | None = Field(description="The registry's revision, if its own configuration was checked.")
    faults: list[ProblemReason]
    deprecated: list[ProblemReason]
    warnings: list[ProblemReason] = _WARNINGS
    gateway: GatewayWord
    excluded: list[ExclusionView] = Field(
        description="Of the registry's own configuration: the rows that are left out of what gateways get."
    )


class ServedView(BaseModel):
    """The configuration served to gateways."""

    revision: int
    judge: str = Field(examples=["gateway 2026.6.0", "rules"])
    by_rules: list[str] = _BY_RULES
    warnings: list[ProblemReason] = _WARNINGS
    provisional: bool = Field(description="Accepted by the rules alone; the gateway's result is pending.")
    at: datetime


class RefusedView(BaseModel):
    """The newest configuration, refused by validation as a whole, or as far as the rows in `excluded`."""

    revision: int
    judge: str
    by_rules: list[str] = _BY_RULES
    at: datetime
    reasons: list[ProblemReason]


class DeliveryStatus(BaseModel):
    """The configuration that is served, the one that was refused, and why."""

    newest_revision: int
    pending: bool = Field(description="Whether validation of the newest configuration is still running.")
    judge: str = Field(description="The validator in use.")
    served: ServedView | None
    refused: RefusedView | None
    publish: Literal["partial", "strict"] = Field(
        description="`partial`: refused rows are left out; `strict`: they hold the whole configuration back."
    )
    excluded: list[ExclusionView] = Field(description="The rows left out of the served configuration.")
    gateway: str = Field(description="The gateway's name.")
    kind: str
    pinned_revision: int | None = Field(description="The revision that it has. Null: it follows the newest.")
    pin_error: str | None = Field(description="Why the pinned revision cannot be had; what was served is served on.")
    promotion: Promotion | None = Field(description="The last promotion, or the one that waits for approvals.")
    variables: list[NamedVariable] = Field(description="What it names: all must be set where the gateway runs.")
    missing_variables: list[NamedVariable] = Field(
        description="Variables that are not set there, or not known to be: what needs them is left out."
    )


@_routes.add(
    "POST",
    "/check",
    summary="Validate a gateway's project or the registry's own configuration",
    operation_id="check_tensorzero",
    openapi_extra=READ_WITH_BODY,
    responses={200: {"model": CheckAnswer}, **responses(401, 422, 429, 503)},
)
@body_limit(PROJECT_BYTES)
async def check(
    request: Request,
    state: CurrentApp,
    caller: KeyHolder,
    named: Named,
    body: Annotated[CheckRequest | None, Body()] = None,
) -> Response:
    """Returns violated rules with place and fix, deprecated syntax with its replacement, and the gateway's own result.

    Without files, validates the newest configuration of the registry, served or not. Nothing is written.

    Requires a key if any is configured. At most two checks run at a time, and a caller has at most two running or
    waiting; a check is cancelled after 60 seconds, or when its caller disconnects.
    """
    gateway = named.gateway()
    body = body or CheckRequest()
    revision, configuration = None, body.configuration
    files = {path: text.encode("utf-8", "replace") for path, text in body.files.items()}
    publisher, kind = gateway.publisher, gateway.kind
    if not files:
        snapshot = gateway.newest(state.registry.snapshot).snapshot
        rendered = await asyncio.to_thread(publisher.rendered, snapshot)
        revision, configuration, files = snapshot.revision, [kind.main_file], dict(rendered.files)
    who = name_of(caller, request)
    if kind is TENSORZERO:
        job = CheckJob(files, configuration, gateway=publisher.loader is not None, ours=revision is not None)
        result = await state.checks.check(request, who, job)
        view = findings_view(result) if result is not None else None
    else:
        findings = await state.checks.check(request, who, _files_check(gateway, files))
        view = _view_of(findings) if findings is not None else None
    if view is None:
        return Response(status_code=CLIENT_CLOSED_REQUEST)
    found, _ = masked_value(view)  # the gateway's messages quote the project
    excluded = [row.view() for row in publisher.excluded] if revision is not None else []
    return json_response(found | {"revision": revision, "excluded": masked_value(excluded)[0]})


def _files_check(gateway: NamedGateway, files: Files) -> CheckerJob[Findings]:
    """Prepare the check of a project. Errors: Invalid, when its main file is missing."""
    main_file = gateway.kind.main_file
    if main_file not in files:
        message = f"there is no {main_file}, which a gateway of the kind {gateway.kind.name} is started with"
        raise Invalid(f"Among the files {message}.", reasons=[Reason("files", message)])
    checker = gateway.kind.make_checker(gateway.publisher.loader is not None)
    return CheckerJob(checker, lambda own: own.check(files, loader=own.loader is not None))


def _view_of(findings: Findings) -> dict[str, Any]:
    """Convert a result to the JSON values that TensorZero's has too."""
    return {
        "accepted": findings.accepted,
        "faults": [asdict(reason) for reason in findings.reasons],
        "deprecated": [],
        "warnings": [asdict(reason) for reason in findings.warnings],
        "gateway": {
            "asked": findings.by_loader,
            "accepted": findings.accepted if findings.by_loader else None,
            "message": None if findings.by_loader else f"only the {RULES} were asked",
            "warnings": [],
            "by_rules": list(findings.by_rules),
        },
    }


@_routes.add(
    "GET",
    "/status",
    summary="Get the status of the served and the refused configuration",
    operation_id="get_tensorzero_status",
    responses={200: {"model": DeliveryStatus}, **responses(401, 503)},
)
async def status(state: CurrentApp, _caller: Reader, named: Named) -> Response:
    """The current state of this replica."""
    gateway = named.gateway()
    publisher, delivery = gateway.publisher, gateway.publisher.delivery
    served = delivery.served
    view = {
        "newest_revision": state.registry.snapshot.revision,
        "pending": publisher.pending,
        "judge": publisher.validated_by,
        "served": served
        and {
            "revision": served.revision,
            "judge": served.validated_by,
            "by_rules": list(served.by_rules),
            "warnings": [asdict(warning) for warning in served.warnings],
            "provisional": delivery.provisional,
            "at": _moment(served.at),
        },
        "refused": _refused_view(delivery),
        "publish": "partial" if publisher.partial else "strict",
        "excluded": [row.view() for row in delivery.excluded],
        "gateway": gateway.row.name,
        "kind": gateway.kind.name,
        "pinned_revision": gateway.row.pinned_revision,
        "pin_error": publisher.pin_error,
        "promotion": gateway.row.promotion,
        "variables": [asdict(variable) for variable in (served.variables if served else ())],
        "missing_variables": [asdict(variable) for variable in delivery.missing],
    }
    return json_response(masked_value(view)[0])


def _refused_view(delivery: Published) -> dict[str, Any] | None:
    refused = delivery.refused or (delivery.served if delivery.excluded else None)
    if refused is None:
        return None
    return {
        "revision": refused.revision,
        "judge": refused.validated_by,
        "by_rules": list(refused.by_rules),
        "at": _moment(refused.at),
        "reasons": [asdict(reason) for reason in delivery.reasons],
    }


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()
