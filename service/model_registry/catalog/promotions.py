"""What moves a gateway from one revision of the catalogue to another, and who else must agree to it. Pure.

While `settings.approval` of a gateway is above 0, one key alone changes nothing of what it is served: its revision
moves by promotions that others approve, and so does `approval` itself when it becomes smaller. Meanwhile name, scope
and other settings stay as they are, and the gateway is not deleted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from model_registry.entities.change import Operation
from model_registry.entities.gateway import Gateway, GatewaySettings
from model_registry.entities.promotion import Approval, Promotion
from model_registry.errors import Conflict, Invalid, NotAllowed, Reason

_FREE = frozenset({"description", "environment"})
"""What may be edited of a gateway that asks for approvals: the environment is a report of what is there."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a promotion asks for."""

    by: str
    """Name of the API key."""
    at: str
    """Time, in ISO format."""
    reason: str | None
    revision: int | None = None
    """Null: the newest, from now on."""
    approval: int | None = None
    """The new `settings.approval`; then `revision` says nothing."""
    from_gateway: str | None = None
    leave_out_refused: bool = False


def approvals_needed(gateway: Gateway) -> int:
    """How many other keys must approve a promotion."""
    return int(gateway.settings.get("approval") or 0)


def promoted(gateway: Gateway, asked: Asked) -> Operation:
    """Return the promotion: done at once, or pending. One that was pending ends. Errors: Conflict, Invalid."""
    needed = approvals_needed(gateway)
    refuse_unpinned({"settings": {"approval": asked.approval}, "pinned_revision": gateway.pinned_revision})
    if asked.approval is None and asked.revision is None and needed:
        raise Conflict(
            f"The gateway {gateway.name} asks for approvals, so it stays pinned: promote it to `latest`, or lower "
            'its approval first with {"approval": 0}.'
        )
    promotion = Promotion(
        state="pending" if needed else "done",
        change="revision" if asked.approval is None else "approval",
        revision=asked.revision,
        from_revision=gateway.pinned_revision,
        from_gateway=asked.from_gateway,
        approval=asked.approval,
        leave_out_refused=asked.leave_out_refused,
        reason=asked.reason,
        by=asked.by,
        at=asked.at,
        needed=needed,
    )
    return _operation(gateway, promotion)


def approved(gateway: Gateway, by: str, at: str, seen: tuple[str, int | None]) -> Operation:
    """Return the pending promotion with one more approval, and done when that was the last one.

    Args:
        gateway: the row.
        by: name of the approving API key.
        at: time, in ISO format.
        seen: what is approved: `revision` or `approval`, and its value.

    Errors: Conflict; NotAllowed for who asked for it.
    """
    promotion = pending(gateway)
    if seen != (promotion.change, getattr(promotion, promotion.change)):
        raise Conflict(
            f"Another promotion of {gateway.name} is pending meanwhile: look at it with "
            f"GET /api/gateways/{gateway.name}/status, and approve that one."
        )
    if by == promotion.by:
        raise NotAllowed(f"{by!r} asked for this promotion: others must approve it.")
    if any(approval.by == by for approval in promotion.approvals):
        raise Conflict(f"{by!r} has approved this promotion already: {_missing(promotion)} more must.")
    approvals = [*promotion.approvals, Approval(by=by, at=at)]
    done = len(approvals) >= promotion.needed
    return _operation(
        gateway, promotion.model_copy(update={"approvals": approvals, "state": "done" if done else "pending"})
    )


def withdrawn(gateway: Gateway) -> Operation:
    """Return the end of the pending promotion. Errors: Conflict."""
    return _operation(gateway, pending(gateway).model_copy(update={"state": "withdrawn"}))


def pending(gateway: Gateway) -> Promotion:
    """Return the promotion that waits for approvals. Errors: Conflict."""
    if gateway.promotion is None or gateway.promotion.get("state") != "pending":
        raise Conflict(f"No promotion of {gateway.name} waits for approvals.")
    return Promotion.model_validate(gateway.promotion)


def would_be_done(gateway: Gateway) -> bool:
    """Whether the next approval is the last one that the pending promotion needs."""
    return _missing(pending(gateway)) <= 1


def _missing(promotion: Promotion) -> int:
    return promotion.needed - len(promotion.approvals)


def _operation(gateway: Gateway, promotion: Promotion) -> Operation:
    row: dict[str, Any] = {"promotion": promotion.model_dump()}
    if promotion.state == "done" and promotion.change == "approval":
        row["settings"] = gateway.settings | {"approval": promotion.approval}
    elif promotion.state == "done":
        row["pinned_revision"] = promotion.revision
    return Operation("gateways", "update", gateway.id, row, gateway.version)


def refuse_alone(row: Gateway, columns: dict[str, Any]) -> None:
    """Refuse an edit of a gateway that asks for approvals, where it changes what the gateway is served.

    Errors: Conflict.
    """
    needed = approvals_needed(row)
    columns = columns | {"settings": _whole(columns.get("settings", row.settings))}
    row = row.model_copy(update={"settings": _whole(row.settings)})
    changed = {name for name, value in columns.items() if value != getattr(row, name)} - _FREE
    if not needed or not changed:
        return
    if changed == {"settings"} and _only_stricter(row.settings, columns["settings"]):
        return
    if changed == {"pinned_revision"}:
        what = f"move it with POST /api/gateways/{row.name}/promote"
    else:
        what = f'first lower it with POST /api/gateways/{row.name}/promote {{"approval": 0}}, which others approve too'
    raise Conflict(f"The gateway {row.name} asks for {needed} approvals, so {', '.join(sorted(changed))} stay: {what}.")


def refuse_unpinned(columns: dict[str, Any]) -> None:
    """Refuse approvals where there is no pin: every write would go out without any. Errors: Invalid."""
    if columns["settings"].get("approval") and columns.get("pinned_revision") is None:
        message = "needs pinned_revision: a gateway that follows the newest revision gets every write at once"
        raise Invalid(f"approval {message}.", reasons=[Reason("settings.approval", message)])


def _only_stricter(before: dict[str, Any], after: dict[str, Any]) -> bool:
    return bool(after == before | {"approval": after["approval"]} and after["approval"] > before["approval"])


def _whole(settings: dict[str, Any]) -> dict[str, Any]:
    return GatewaySettings.model_validate(settings).model_dump()
