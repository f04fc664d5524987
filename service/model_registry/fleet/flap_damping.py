"""Damps flapping routes: a deployment that comes and goes is held back, so that gateways are not reloaded in a loop.

Pure: the time is an argument, all else is in the rows, so that all replicas hold the same routes equally long.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from model_registry.entities.deployment import Deployment
from model_registry.snapshot.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Held:
    """A deployment that comes and goes."""

    deployment: Deployment
    until: float
    """Epoch seconds."""

    @property
    def reason(self) -> str:
        """The reason, for people."""
        back = datetime.fromtimestamp(self.until, UTC).isoformat(timespec="seconds")
        return f"it comes and goes: it went away twice within the hold time; gateways use it again at {back}"


@dataclass(frozen=True, slots=True)
class DampedSnapshot:
    """A snapshot in which held deployments are unloaded; configurations are rendered from it."""

    snapshot: Snapshot
    held: tuple[Held, ...] = ()

    @property
    def until(self) -> float | None:
        """When the first held deployment comes back, in epoch seconds."""
        return min((held.until for held in self.held), default=None)


def damp(snapshot: Snapshot, now: float, hold_seconds: float) -> DampedSnapshot:
    """Hold each deployment that went away twice within `hold_seconds`, until it has stayed for as long.

    A deployment that is loaded or unloaded once takes effect at once. One that keeps flapping never comes back, and no
    route changes more than four times in `hold_seconds`.

    Args:
        snapshot: the registry as it is; returned unchanged when there is nothing to hold.
        now: epoch seconds.
        hold_seconds: 0 disables holding.
    """
    held = tuple(_held(snapshot, now, hold_seconds)) if hold_seconds > 0 else ()
    if not held:
        return DampedSnapshot(snapshot)
    away = [(h.deployment.id, h.deployment.model_copy(update={"status": "unloaded"})) for h in held]
    table = snapshot.deployments.changed(away)
    return DampedSnapshot(replace(snapshot, tables=snapshot.tables.set(table.spec.name, table)), held)


def _held(snapshot: Snapshot, now: float, hold_seconds: float) -> Iterator[Held]:
    for node_id in _nodes_with_routes(snapshot):
        # All models of the node: the memory they take orders the others' routes, and must not flap either.
        for deployment in snapshot.deployments.where("node", node_id):
            until = held_until(deployment, now, hold_seconds)
            if until is not None:
                yield Held(deployment, until)


def held_until(deployment: Deployment, now: float, hold_seconds: float) -> float | None:
    """Return until when a deployment is held, in epoch seconds; None when it is not."""
    left = _seconds(deployment.left_at) if deployment.status == "loaded" else None
    before = _seconds(deployment.left_before_at) if left is not None else None
    # Either side: the database's clock may differ from ours. Where the two are further apart, nothing is held.
    if left and before and left - before < hold_seconds and abs(now - left) < hold_seconds:
        return left + hold_seconds
    return None


def _seconds(moment: str | None) -> float | None:
    """Return epoch seconds; None for values outside the calendar, such as Postgres' `infinity`."""
    try:
        return datetime.fromisoformat(moment).timestamp() if moment else None
    except ValueError:
        return None


def _nodes_with_routes(snapshot: Snapshot) -> list[str]:
    nodes: dict[str, None] = {}
    for provider in snapshot.providers.where("route_by", "deployments"):
        for model in snapshot.models.where("provider", provider.id):
            nodes.update((d.node_id, None) for d in snapshot.deployments.where("model", model.id))
    return list(nodes)
