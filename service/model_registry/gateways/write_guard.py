"""Asks every gateway's kind whether a write would break its configuration; called before every write."""

from __future__ import annotations

from collections.abc import Sequence

from model_registry.entities.change import Operation
from model_registry.entities.gateway import MOST_GATEWAYS, Gateway
from model_registry.errors import Conflict, InvalidConfiguration
from model_registry.gateways.kinds import KINDS
from model_registry.gateways.scope import Scopes, default_gateway
from model_registry.snapshot.snapshot import Snapshot
from model_registry.snapshot.through_gateways import through_faults


class WriteGuard:
    """Refuses writes that a gateway could not use. From any thread."""

    def __init__(self) -> None:
        self._before, self._after = Scopes(), Scopes()

    def refuse(self, before: Snapshot, operations: Sequence[Operation]) -> None:
        """Refuse a write that would break a gateway's configuration. The cost depends on what it affects.

        Existing faults do not block a write: a configuration can be repaired in steps.

        Raises:
            Conflict: there would be more gateways than MOST_GATEWAYS.
            InvalidConfiguration: with a reason for each new fault.
        """
        _refuse_too_many(before, operations)
        _refuse_bad_routes(before, operations)
        for name, kind in KINDS.items():
            gateways = [gateway for gateway in _gateways(before) if gateway.kind == name]
            concerning = kind.relevant(before, operations) if gateways else []
            if not concerning:
                continue
            after = before.preview(concerning)
            asked: list[tuple[Snapshot, Snapshot]] = []
            for gateway in gateways:
                seen = self._before.of(before, gateway), self._after.of(after, gateway)
                if seen not in asked:  # gateways that carry the same are one question
                    asked.append(seen)
                    kind.refuse(*seen, concerning)


def _refuse_too_many(before: Snapshot, operations: Sequence[Operation]) -> None:
    actions = [operation.action for operation in operations if operation.table == "gateways"]
    more = actions.count("insert") - actions.count("delete")
    if more > 0 and len(before.gateways) + more > MOST_GATEWAYS:
        raise Conflict(
            f"There would be {len(before.gateways) + more} gateways, and {MOST_GATEWAYS} are the limit: delete those "
            "that are not used (GET /api/gateways lists them)."
        )


def _refuse_bad_routes(before: Snapshot, operations: Sequence[Operation]) -> None:
    """Refuse a provider that would be reached through no gateway, and a gateway that would be gone or moved from it."""
    operations = [operation for operation in operations if operation.table in {"gateways", "model_providers"}]
    if not operations:
        return
    if reasons := set(through_faults(before.preview(operations))).difference(through_faults(before)):
        ordered = sorted(reasons, key=lambda reason: (reason.where, reason.message))
        raise InvalidConfiguration(str(ordered[0]), reasons=ordered)


def _gateways(snapshot: Snapshot) -> list[Gateway]:
    return list(snapshot.gateways) or [default_gateway()]
