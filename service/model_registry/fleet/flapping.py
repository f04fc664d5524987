"""Routes that come and go: what went away stays away for a while, so that gateways are not reloaded in a loop.

Pure: the time comes in, and everything else is in the rows, so that all replicas hold the same routes for as long.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from model_registry.catalog.snapshot import Snapshot
from model_registry.entities.deployment import Deployment


@dataclass(frozen=True, slots=True)
class Held:
    """A deployment that is back too soon."""

    deployment: Deployment
    until: float
    """Epoch seconds."""

    @property
    def reason(self) -> str:
        """In words."""
        back = datetime.fromtimestamp(self.until, UTC).isoformat(timespec="seconds")
        return f"it went away and came back within the hold time; gateways ask it again at {back}"


@dataclass(frozen=True, slots=True)
class Steady:
    """A snapshot in which the deployments that are back too soon are still away: what configurations are made of."""

    snapshot: Snapshot
    held: tuple[Held, ...] = ()

    @property
    def until(self) -> float | None:
        """When the first of them comes back, in epoch seconds."""
        return min((held.until for held in self.held), default=None)


def steadied(snapshot: Snapshot, now: float, hold_seconds: float) -> Steady:
    """Keep away each deployment that went away less than so many seconds ago, although it is loaded again.

    What is loaded for the first time, or was away for longer, is there at once; so is the end of what has gone. One
    that comes and goes more often than this never comes back, and none comes back more than once in this time.

    Args:
        snapshot: the registry as it is. It is answered itself when there is nothing to hold.
        now: epoch seconds.
        hold_seconds: 0 holds nothing.
    """
    held = tuple(_held(snapshot, now, hold_seconds)) if hold_seconds > 0 else ()
    if not held:
        return Steady(snapshot)
    away = [(h.deployment.id, h.deployment.model_copy(update={"status": "unloaded"})) for h in held]
    table = snapshot.deployments.changed(away)
    return Steady(replace(snapshot, tables=snapshot.tables.set(table.spec.name, table)), held)


def _held(snapshot: Snapshot, now: float, hold_seconds: float) -> Iterator[Held]:
    for node_id in _nodes_with_routes(snapshot):
        # All that the node has loaded: the memory it takes decides where the others stand, and must not flap either.
        for deployment in snapshot.deployments.where("node", node_id):
            if deployment.status == "loaded" and deployment.left_at:
                left = datetime.fromisoformat(deployment.left_at).timestamp()
                # Before or after: the database's clock is another one. Where they are further apart, nothing is held.
                if abs(now - left) < hold_seconds:
                    yield Held(deployment, left + hold_seconds)


def _nodes_with_routes(snapshot: Snapshot) -> list[str]:
    nodes: dict[str, None] = {}
    for provider in snapshot.providers.where("route_by", "deployments"):
        for model in snapshot.models.where("provider", provider.id):
            nodes.update((d.node_id, None) for d in snapshot.deployments.where("model", model.id))
    return list(nodes)
