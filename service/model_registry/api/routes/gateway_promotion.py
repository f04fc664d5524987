"""`/api/gateways/{gateway}/promote`, `/promotions/...`, `/history`: which revision a gateway has, and who decided."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from fastapi import Request
from starlette.responses import Response

from model_registry.api.app_state import AppState, CurrentApp
from model_registry.api.auth import NEEDS_KEY, Administrator, DryRun, Importer, KeyHolder
from model_registry.api.cached_responses import json_response
from model_registry.api.check_slots import name_of
from model_registry.api.edits import write
from model_registry.api.gateways.assessment import Assessment, assess
from model_registry.api.gateways.named_gateway import (
    GatewayPath,
    GatewayRoutes,
    Named,
    NamedGateway,
)
from model_registry.api.gateways.promotion_shapes import (
    ApprovalRequest,
    GatewayHistory,
    PromotionAnswer,
    PromotionRequest,
)
from model_registry.api.problems import responses
from model_registry.api.publication import answers_publication
from model_registry.api.routes.gateway_check import CLIENT_CLOSED_REQUEST
from model_registry.api.routes.history import counts
from model_registry.catalog.promotions import Asked, approved, pending, promoted, withdrawn, would_be_done
from model_registry.entities.change import Operation
from model_registry.entities.gateway import Gateway
from model_registry.entities.secret_values import masked_value
from model_registry.errors import Conflict, NotFound, Reason, UnknownReference
from model_registry.snapshot.lookup import find_gateway

_routes = GatewayRoutes()
ROUTERS = _routes.routers

_SOURCE_SECONDS = 2.0
"""How long a promotion waits for the validation of what the other gateway has."""
_PAGE = 1000


@_routes.add(
    "POST",
    "/promote",
    named_only=True,
    summary="Move a gateway to a revision, or to that of another gateway",
    operation_id="promote_tensorzero",
    responses={200: {"model": PromotionAnswer}, **responses(401, 403, 404, 409, 410, 412, 422, 429, 503)},
)
@answers_publication
async def promote(
    request: Request,
    body: PromotionRequest,
    state: CurrentApp,
    caller: Importer,
    named: Named,
    dry_run: DryRun = False,
) -> Response:
    """Checked first by the gateway's rules and loader, with the nodes of now: what they refuse is not switched to.

    With `settings.approval` above 0 it waits until that number of other keys approves it. Another promotion takes its
    place, and its approvals end with it.
    """
    await state.registry.refresh()
    gateway = named.gateway()
    looked, source = None, None
    revision: int | None = None
    if body.approval is None:
        revision, source = await _target(state, gateway, body)
        newest = state.registry.snapshot.revision
        looked = await assess(
            request, name_of(caller, request), state, gateway, newest if revision is None else revision
        )
        if looked is None:
            return Response(status_code=CLIENT_CLOSED_REQUEST)
        revision = looked.revision if revision is not None else None
        if not dry_run:
            looked.refuse(gateway.row, leave_out=body.leave_out_refused)
    asked = Asked(caller.name, _now(), body.reason, revision, body.approval, source, body.leave_out_refused)
    operation = promoted(gateway.row, asked)
    if _is_unchanged(gateway.row, body, revision):
        return _answer(state, gateway, None, "unchanged", looked, dry_run=dry_run)
    if not dry_run:
        await write(state, lambda _snapshot: [operation], caller)
    return _answer(state, gateway, operation, None, looked, dry_run=dry_run)


@_routes.add(
    "POST",
    "/promotions/approve",
    named_only=True,
    summary="Approve a gateway's pending promotion",
    operation_id="approve_tensorzero_promotion",
    responses={200: {"model": PromotionAnswer}, **responses(401, 403, 404, 409, 410, 412, 422, 429, 503)},
)
@answers_publication
async def approve(
    request: Request, body: ApprovalRequest, state: CurrentApp, caller: Administrator, named: Named
) -> Response:
    """Who asked for it cannot approve it, and each key counts once. The last approval checks it again, and does it."""
    await state.registry.refresh()
    gateway = named.gateway()
    row = gateway.row
    seen = ("revision", body.revision) if "revision" in body.model_fields_set else ("approval", body.approval)
    operation, looked, promotion = approved(row, caller.name, _now(), seen), None, pending(row)
    if would_be_done(row) and promotion.revision is not None:
        looked = await assess(request, name_of(caller, request), state, gateway, promotion.revision)
        if looked is None:
            return Response(status_code=CLIENT_CLOSED_REQUEST)
        looked.refuse(row, leave_out=promotion.leave_out_refused)
    await write(state, lambda _snapshot: [operation], caller)
    return _answer(state, gateway, operation, None, looked, dry_run=False)


@_routes.add(
    "POST",
    "/promotions/withdraw",
    named_only=True,
    summary="End a gateway's pending promotion",
    operation_id="withdraw_tensorzero_promotion",
    responses={200: {"model": PromotionAnswer}, **responses(401, 403, 404, 409, 412, 503)},
)
async def withdraw(state: CurrentApp, caller: Administrator, named: Named) -> Response:
    """The gateway stays where it is. Any key that could approve it may do this."""
    await state.registry.refresh()
    gateway = named.gateway()
    operation = withdrawn(gateway.row)
    await write(state, lambda _snapshot: [operation], caller)
    return _answer(state, gateway, operation, None, None, dry_run=False)


@_routes.add(
    "GET",
    "/history",
    named_only=True,
    summary="List the promotions of a gateway, newest first",
    operation_id="get_tensorzero_history",
    openapi_extra=NEEDS_KEY,
    responses={200: {"model": GatewayHistory}, **responses(401, 403, 404, 503)},
)
async def history(state: CurrentApp, _caller: KeyHolder, named: Named) -> Response:
    """Who moved it from which revision to which, when and why; as far back as the change log goes."""
    gateway = named.row()
    items: list[dict[str, Any]] = []
    after: int | None = 0
    while after is not None and gateway.id:
        found = await state.history.changes(after=after, table="gateways", row_id=gateway.id, limit=_PAGE)
        items += [move for change in found["items"] if (move := _move(change))]
        after = found["next_after"]
    return json_response(masked_value({"items": items[::-1], "count": len(items)})[0])


def _move(change: dict[str, Any]) -> dict[str, Any] | None:
    """Return a change of a gateway's row as one of its revision; None for any other."""
    before, row = change["before"] or {}, change["after"] or {}
    pins = before.get("pinned_revision"), row.get("pinned_revision")
    decided = row.get("promotion") if row.get("promotion") != before.get("promotion") else None
    if pins[0] == pins[1] and decided is None:
        return None
    who = {name: change[name] for name in ("revision", "at", "actor")}
    return who | {"pinned_before": pins[0], "pinned_after": pins[1], "promotion": decided}


async def _target(state: AppState, gateway: NamedGateway, body: PromotionRequest) -> tuple[int | None, str | None]:
    """Return the revision that is asked for, and the gateway it is taken from, if one is named."""
    if body.from_ is None:
        newest = state.registry.snapshot.revision
        return newest if body.revision == "latest" else body.revision, None
    try:
        row = find_gateway(state.registry.snapshot, body.from_)
    except NotFound as error:
        raise UnknownReference(error.message, reasons=[Reason("from", error.message)]) from error
    other = GatewayPath(state, row.id).gateway()
    if why := _unfit(gateway.row, row):
        raise Conflict(f"{gateway.row.name} cannot be promoted from {row.name}: {why}.")
    if row.pinned_revision is not None:
        return row.pinned_revision, row.name
    await other.publisher.until_validated(_SOURCE_SECONDS)
    served = other.publisher.delivery.served
    if served is None:
        raise Conflict(f"Nothing was accepted for {row.name} yet: see GET /api/gateways/{row.name}/status.")
    return served.revision, row.name


def _unfit(gateway: Gateway, source: Gateway) -> str | None:
    if source.id == gateway.id:
        return "that is itself; name another gateway, or a revision"
    if source.kind != gateway.kind:
        return f"that is of the kind {source.kind}, and this one is of {gateway.kind}; name a revision"
    if source.content_of != gateway.content_of:
        return f"that has the content of {source.content_of}, this one of {gateway.content_of}; name a revision"
    return None


def _is_unchanged(row: Gateway, body: PromotionRequest, revision: int | None) -> bool:
    """Whether the gateway has it, and nothing else is pending, which a promotion would end."""
    if row.promotion is not None and row.promotion.get("state") == "pending":
        return False
    if body.approval is not None:
        return body.approval == (row.settings.get("approval") or 0)
    return revision == row.pinned_revision


def _answer(
    state: AppState,
    gateway: NamedGateway,
    operation: Operation | None,
    outcome: str | None,
    looked: Assessment | None,
    *,
    dry_run: bool,
) -> Response:
    promotion: dict[str, Any] | None = gateway.row.promotion
    if operation is not None and operation.row is not None:
        promotion = operation.row["promotion"]
    row = state.registry.snapshot.gateways.get(gateway.row.id) or gateway.row
    view = {
        "dry_run": dry_run,
        "gateway": gateway.row.name,
        "state": outcome or (promotion or {})["state"],
        "promotion": promotion,
        "pinned_revision": row.pinned_revision,
        "accepted": looked is None or looked.accepted,
        "reasons": [asdict(reason) for reason in looked.reasons] if looked else [],
        "excluded": [each.view() for each in looked.excluded] if looked else [],
        "lacking": [asdict(variable) for variable in looked.lacking(row)] if looked else [],
        "missing": [asdict(variable) for variable in looked.missing] if looked else [],
        **counts(looked.changes if looked else ()),
        "items": [asdict(change) for change in looked.changes] if looked else [],
        "text": looked.text if looked else "",
    }
    return json_response(masked_value(view)[0])


def _now() -> str:
    return datetime.now(UTC).isoformat()
