"""`/api/models/import`: facts about models from other sources, into the catalogue."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field, SkipValidation, ValidationError, field_validator
from starlette.responses import Response

from model_registry.api.app_state import AppState, CurrentApp
from model_registry.api.auth import DryRun, Importer
from model_registry.api.cached_responses import JSON
from model_registry.api.edits import new_id
from model_registry.api.error_handlers import invalid_as
from model_registry.api.guarded_route import PROJECT_BYTES, GuardedRoute, body_limit
from model_registry.api.long_work import while_there
from model_registry.api.problems import responses, summary
from model_registry.catalog.field_sources import HAND
from model_registry.catalog.warnings import WARNINGS, Warnings, import_warnings
from model_registry.entities.base import ShortName
from model_registry.entities.change import Operation
from model_registry.entities.field_errors import reasons_of
from model_registry.entities.offer import Offer
from model_registry.errors import Conflict, InvalidModel, PreconditionFailed, Reason
from model_registry.gateways.tensorzero.rendering.provider_tables import model_fault
from model_registry.imports.offers import plan_offers
from model_registry.imports.plan import ImportPlan, ReportEntry
from model_registry.store.json_bytes import json_bytes

router = APIRouter(prefix="/api/models", tags=["models"], route_class=GuardedRoute)

_TRIES = 3
"""Times an import is planned again after a concurrent write."""


MOST_OFFERS = 10_000
"""Of one request: twice LiteLLM's whole price map. Planning more takes more memory than one caller may have."""


class OffersBody(BaseModel):
    """Offers found by one importer."""

    source: ShortName = Field(
        description="Name of the importer. It fills fields that are empty or its own.", examples=["csv"]
    )
    offers: list[SkipValidation[Offer]] = Field(
        max_length=MOST_OFFERS, description=f"At most {MOST_OFFERS:,}. Send more in several requests."
    )
    """Validated off the event loop, in `_read`."""
    only_existing: bool = Field(default=False, description="Create no rows.")
    activate: bool = Field(default=False, description="Create new models as active. Their new providers stay inactive.")

    @field_validator("source")
    @classmethod
    def _not_people(cls, value: str) -> str:
        if value == HAND:
            message = f"must not be {HAND!r}: that source is reserved for edits by people"
            raise ValueError(message)
        return value


class ImportedRow(BaseModel):
    """The action taken for one offer."""

    action: Literal["created", "changed", "unchanged", "skipped"]
    kind: Literal["provider", "model"]
    provider: str
    name: str = Field(description="For a model: its provider's name for it.")
    fields: list[str] = Field(description="Fields that were written.")
    kept: dict[str, str] = Field(description="Fields that differ from the source, with the reason they were kept.")
    reason: str


class OffersAnswer(BaseModel):
    """The result of an import, or of its dry run."""

    dry_run: bool
    revision: int
    report: list[ImportedRow]
    warnings: Warnings = []


@router.post(
    "/import",
    summary="Import facts about models in one transaction",
    operation_id="import_models",
    responses={200: {"model": OffersAnswer}, **responses(401, 403, 408, 409, 412, 413, 422, 429, 503)},
)
@body_limit(PROJECT_BYTES)
@invalid_as(InvalidModel)
async def import_models(
    request: Request,
    body: OffersBody,
    state: CurrentApp,
    caller: Importer,
    dry_run: DryRun = False,
) -> Response:
    """Fields set by people or by other importers are kept; an invalid offer is skipped, with the reason.

    Importing the same offers again changes nothing.
    """
    if dry_run:
        plan, revision = await while_there(request, _planned(state, body)), state.registry.snapshot.revision
    else:
        plan, revision = await _written(state, body, caller.name)
    answer = await state.work.parsing.go_on(
        report_answer, plan.report, plan.operations, dry_run=dry_run, revision=revision
    )
    return Response(answer, media_type=JSON)


def report_answer(report: Sequence[ReportEntry], operations: Sequence[Operation], **beside: object) -> bytes:
    """The report of an import as JSON."""
    keys = ("action", "kind", "provider", "name", "fields", "kept")
    rows = [{key: getattr(entry, key) for key in keys} | {"reason": entry.detail} for entry in report]
    warnings = import_warnings(operations)
    return json_bytes({**beside, "report": rows} | ({WARNINGS: warnings} if warnings else {}))


async def _planned(state: AppState, body: OffersBody) -> ImportPlan:
    """Off the event loop: planning thousands of offers takes a second, and reading them another."""
    snapshot, options = state.registry.snapshot, {"only_existing": body.only_existing, "activate": body.activate}
    return await state.work.imports.run(
        lambda: plan_offers(snapshot, _read(body.offers), body.source, new_id, fault=model_fault, **options)
    )


def _read(offers: Sequence[Any]) -> list[Offer]:
    """Validate offers one by one: a single call would block all other threads. Errors: InvalidModel, for each place."""
    read: list[Offer] = []
    reasons: list[Reason] = []
    for number, offer in enumerate(offers):
        try:
            read.append(Offer.model_validate(offer))
        except ValidationError as error:
            reasons += [Reason(f"offers.{number}.{reason.where}", reason.message) for reason in reasons_of(error)]
    if reasons:
        raise InvalidModel(summary(tuple(reasons)), reasons=reasons)
    return read


async def _written(state: AppState, body: OffersBody, actor: str) -> tuple[ImportPlan, int]:
    """Guard every update by its row's version: a row edited meanwhile is planned again."""
    for _ in range(_TRIES - 1):
        try:
            return await _once(state, body, actor)
        except (PreconditionFailed, Conflict):
            continue
    return await _once(state, body, actor)


async def _once(state: AppState, body: OffersBody, actor: str) -> tuple[ImportPlan, int]:
    await state.registry.refresh()
    plan = await _planned(state, body)
    return plan, await state.registry.write(plan.operations, actor=actor)
