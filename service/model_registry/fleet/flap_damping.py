"""Routes that come and go: what does so again stays away for a while, so that gateways are not reloaded in a loop.

Pure: the time comes in, and everything else is in the rows, so that all replicas hold the same routes for as long.
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
        """In words."""
        back = datetime.fromtimestamp(self.until, UTC).isoformat(timespec="seconds")
        return f"it comes and goes: it went away twice within the hold time; gateways ask it again at {back}"


@dataclass(frozen=True, slots=True)
class DampedSnapshot:
    """A snapshot in which the deployments that come and go are away: what configurations are made of."""

    snapshot: Snapshot
    held: tuple[Held, ...] = ()

    @property
    def until(self) -> float | None:
        """When the first of them comes back, in epoch seconds."""
        return min((held.until for held in self.held), default=None)


def damp(snapshot: Snapshot, now: float, hold_seconds: float) -> DampedSnapshot:
    """Keep away each deployment that went away twice in less than so many seconds, until it has not for as long.

    What is loaded, and what goes, once is there and gone at once. One that comes and goes more often than this never
    comes back, and no route changes more than four times in this time.

    Args:
        snapshot: the registry as it is. It is answered itself when there is nothing to hold.
        now: epoch seconds.
        hold_seconds: 0 holds nothing.
    """
    held = tuple(_held(snapshot, now, hold_seconds)) if hold_seconds > 0 else ()
    if not held:
        return DampedSnapshot(snapshot)
    away = [(h.deployment.id, h.deployment.model_copy(update={"status": "unloaded"})) for h in held]
    table = snapshot.deployments.changed(away)
    return DampedSnapshot(replace(snapshot, tables=snapshot.tables.set(table.spec.name, table)), held)


def _held(snapshot: Snapshot, now: float, hold_seconds: float) -> Iterator[Held]:
    for node_id in _nodes_with_routes(snapshot):
        # All that the node has loaded: the memory it takes decides where the others stand, and must not flap either.
        for deployment in snapshot.deployments.where("node", node_id):
            left = _seconds(deployment.left_at) if deployment.status == "loaded" else None
            before = _seconds(deployment.left_before_at) if left is not None else None
            # Before or after: the database's clock is another one. Where they are further apart, nothing is held.
            if left and before and left - before < hold_seconds and abs(now - left) < hold_seconds:
                yield Held(deployment, left + hold_seconds)


def _seconds(moment: str | None) -> float | None:
    """Epoch seconds; None for what no calendar has, such as Postgres' `infinity`."""
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
