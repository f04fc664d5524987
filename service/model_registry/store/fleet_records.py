"""Reports of nodes in the database: recorded, expired, forgotten (a part of `Registry`), and their heartbeats."""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson

from model_registry.entities.deployment import DeploymentEvent
from model_registry.entities.json_types import JsonObject
from model_registry.entities.node import Node, NodeReportBatch, RecordResult
from model_registry.errors import FleetFull, NodeFull, StorageError
from model_registry.snapshot.snapshot import Snapshot
from model_registry.store.client import Database
from model_registry.store.json_bytes import Argument
from model_registry.store.signal import Signal

GOOD_SECONDS = 1.0
"""However many ask for the heartbeats, the database is asked once in so long."""
_MANY_EVENTS = 200
"""Events in one transaction, from where on nobody waits for the snapshot."""


class FleetRecords(ABC):
    """The writes of which nodes are the authors."""

    def __init__(self, *, most_deployments: int | None, most_nodes: int | None) -> None:
        self._most_deployments = most_deployments
        self._most_nodes = most_nodes
        self.masked: Signal[str, int] = Signal()
        """Secrets were masked in what nodes reported: where, and how many."""

    @property
    @abstractmethod
    def snapshot(self) -> Snapshot:
        """The newest state this service knows."""

    @abstractmethod
    async def _send(self, function: str, known: Snapshot | None, actor: str, **arguments: Argument) -> dict[str, Any]:
        """Call a function that writes, and take in what it answers."""

    async def record(self, events: Sequence[DeploymentEvent], *, actor: str) -> int:
        """Record events that are received now, in one transaction. Repeats and old news change nothing.

        Errors: FleetFull, NodeFull; those of `Database.call`.
        """
        now = datetime.now(UTC)
        batch = NodeReportBatch()
        for event in events:
            batch.add_event(event, now)
        recorded = await self.record_reports(batch, actor=actor)
        if recorded.crowded:
            raise self.fleet_full(min(recorded.crowded))
        if recorded.refused:
            raise self.node_full(min(recorded.refused))
        return recorded.revision

    async def record_reports(self, batch: NodeReportBatch, *, actor: str) -> RecordResult:
        """Record reports of nodes, in one transaction. What is refused is not kept; the rest is.

        When it returns, the snapshot has it; unless it was much: then the snapshot follows at once, but nobody who
        records more has to wait for it.
        """
        much = len(batch.events) >= _MANY_EVENTS
        known = None if much else self.snapshot
        if batch.masked:
            self.masked.send("events", batch.masked)
        rows_by_argument = {
            "events": [event.wire() for event in batch.events],
            "statuses": batch.statuses,
            "heard": batch.received,
            "rejected": batch.rejected,
        }
        answer = await self._send(
            "registry_record_events",
            known,
            actor,
            **{name: orjson.Fragment(orjson.dumps(rows)) for name, rows in rows_by_argument.items()},
            most_deployments=self._most_deployments,
            most_nodes=self._most_nodes,
        )
        if batch.masked_rejected:
            self.masked.send("rejected", batch.masked_rejected)
        crowded = frozenset(answer.get("crowded", ()))
        refused = frozenset((node, provider, model) for node, provider, model in answer.get("refused", ()))
        return RecordResult(int(answer["revision"]), frozenset(answer.get("unsettled", ())), refused, crowded)

    def node_full(self, key: tuple[str, str, str]) -> NodeFull:
        """Why a deployment was refused."""
        node, provider, model = key
        return NodeFull(
            f"The node {node!r} has announced {self._most_deployments} models, the most that are kept of one node: "
            f"{provider}/{model} is not. `DELETE /api/nodes/<node>` forgets a node with all its models."
        )

    async def expire(self, heard_through: str | None, *, silent_seconds: float, gap_seconds: float) -> dict[str, Any]:
        """Take nodes for lost that have been silent, on one replica at a time; answers the database's time and watch.

        `heard_through` is a time that an earlier call answered: all that NATS got until then is recorded.
        """
        return await self._send(
            "registry_expire_nodes",
            self.snapshot,
            "silence",
            heard_through=heard_through,
            silent_seconds=silent_seconds,
            gap_seconds=gap_seconds,
        )

    def fleet_full(self, node: str) -> FleetFull:
        """Why nothing of a node was kept."""
        return FleetFull(
            f"The registry knows {self._most_nodes} nodes, the most that it keeps (MODEL_REGISTRY_MOST_NODES): "
            f"{node!r} is one more. `DELETE /api/nodes?status=lost` forgets those that are gone."
        )

    async def forget(self, nodes: Sequence[Node], *, actor: str) -> tuple[int, int]:
        """Forget nodes with their deployments, in one transaction; answers how many of both.

        A node that has changed since it was looked at is left. Errors: PreconditionFailed when a backup was restored
        meanwhile; those of `Database.call`.
        """
        versions: JsonObject = {node.id: node.version for node in nodes}
        answer = await self._send("registry_forget_nodes", self.snapshot, actor, nodes=versions)
        return int(answer["nodes"]), int(answer["deployments"])


@dataclass(frozen=True, slots=True)
class Pulse:
    """How the fleet is, a moment ago."""

    nodes: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By node: last_seen_at, vram_used_mb, vram_free_mb."""
    fleet: dict[str, Any] = field(default_factory=dict)
    """`fleet_watch`: since when events of all nodes arrive, and whether most were lost at once."""
    sources: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By source: asked_at, good_at, next_at, asking."""


class Heartbeats:
    """What moves with every heartbeat: no snapshot follows it, so the database is asked when somebody wants to see it.

    At most a second old while the database answers.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._asking = asyncio.Lock()
        self._pulse = Pulse()
        self._good_until = 0.0

    async def now(self) -> Pulse:
        """The pulse; with the database away, the last one there was. Takes as long as `Database.call` at most."""
        async with self._asking:
            if time.monotonic() >= self._good_until:
                try:
                    answer = await self._database.call("registry_heartbeats")
                except StorageError:
                    pass  # the answer says how old it is: last_seen_at, and X-Registry-Stale
                else:
                    self._pulse = Pulse(answer["nodes"], answer["fleet"], answer["sources"])
                self._good_until = time.monotonic() + GOOD_SECONDS
            return self._pulse
