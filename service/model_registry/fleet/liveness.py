"""Finds nodes that have fallen silent, and whether the registry could have received their events.

Silence counts only while the registry receives: everything that NATS had at some moment must be recorded. The
consumer's position in the stream shows that, whichever replica recorded it. Moments are times from the database, so no
two clocks are compared; the database decides what follows from them, on one replica at a time
(`registry_expire_nodes`). A replica that was paused, cut off or just started has no moments to report.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from dataclasses import dataclass
from typing import Any

import structlog
from nats.aio.client import Client
from nats.js.errors import Error as JetStreamError

from model_registry.errors import RegistryError
from model_registry.fleet.event_consumer import EventConsumer
from model_registry.fleet.jetstream_setup import CONSUMER, Plan
from model_registry.messaging.connection import FAILURES, NatsConnection
from model_registry.store.registry import Registry

log = structlog.get_logger(__name__)

LOOKS_PER_HEARTBEAT = 5
_MOST_MOMENTS = 1000
_MOST_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Position:
    """The consumer's position in one stream."""

    last: int
    """The newest message of the stream."""
    floor: int
    """All messages up to this one are acknowledged."""
    pending: int
    """Messages not delivered yet."""
    in_flight: int
    """Messages delivered and not acknowledged."""

    def is_past(self, last: int) -> bool:
        """Whether all messages up to this one are recorded."""
        return self.floor >= last or (not self.pending and not self.in_flight)


Positions = dict[str, Position]


class Moments:
    """Times of the database, each with the newest messages that NATS had then."""

    def __init__(self) -> None:
        self._open: deque[tuple[str, dict[str, int]]] = deque(maxlen=_MOST_MOMENTS)
        self._latest: str | None = None

    def begin(self, at: str) -> None:
        """Note the database's current time."""
        self._latest = at

    def recorded_through(self, positions: Positions) -> str | None:
        """Return the newest moment up to which everything is recorded. `positions` are from after the last `begin`."""
        if self._latest is not None:
            self._open.append((self._latest, {stream: position.last for stream, position in positions.items()}))
            self._latest = None
        newest = None
        while self._open and _is_past(positions, self._open[0][1]):
            newest = self._open.popleft()[0]
        return newest

    def forget(self) -> None:
        """Drop all moments: events may have been missed since."""
        self._open.clear()
        self._latest = None


def _is_past(positions: Positions, lasts: dict[str, int]) -> bool:
    return all(stream in positions and positions[stream].is_past(last) for stream, last in lasts.items())


class NodeLiveness:
    """Periodically look up the consumer's positions, and have the database expire silent nodes."""

    def __init__(
        self,
        registry: Registry,
        link: NatsConnection,
        events: EventConsumer,
        *,
        heartbeat_seconds: float,
        lost_after: int,
    ) -> None:
        self._registry = registry
        self._link = link
        self._events = events
        self._heartbeat = heartbeat_seconds
        self._silent = heartbeat_seconds * lost_after
        self._moments = Moments()
        self._looked = False
        self.positions: Positions = {}
        """As of the last look."""
        self.fleet: dict[str, Any] = {}
        """`fleet_watch`, as of the last look."""

    def health(self) -> tuple[str, str]:
        """(status, detail), as `/readyz` shows them."""
        if self.fleet.get("mass_lost_at"):
            lost, of = self.fleet["mass_lost"], self.fleet["mass_of"]
            return "degraded", f"{lost} of {of} nodes were lost at once at {self.fleet['mass_lost_at']}."
        if self.fleet.get("suspected_since"):
            return "degraded", f"Most nodes are silent since {self.fleet['suspected_since']}; waiting for confirmation."
        if not self.positions and self._looked:
            return "degraded", "It is not known whether events of nodes arrive, so no node is considered lost."
        return "ok", "silent nodes are noticed"

    async def run(self) -> None:
        """Look several times per heartbeat. A restart drops all moments: events may have been missed."""
        self._moments.forget()
        while True:
            await asyncio.sleep(self._heartbeat / LOOKS_PER_HEARTBEAT)
            try:
                await self._look()
            except RegistryError as error:
                self._moments.forget()
                log.debug("search for silent nodes failed", error=error.message)

    async def _look(self) -> None:
        self.positions = await self._positions()
        self._looked = True
        if not self.positions:
            self._moments.forget()
            return
        before = self.fleet
        answer = await self._registry.expire(
            self._moments.recorded_through(self.positions), silent_seconds=self._silent, gap_seconds=self._heartbeat
        )
        self._moments.begin(answer["at"])
        self.fleet = answer["fleet"]
        _log_fleet(before, self.fleet)
        lost = [
            change["row"]["node_id"]
            for change in answer["changes"]
            if (change["table"], change["origin"]) == ("gpu_nodes", self._registry.origin)
            and (change["row"] or {}).get("status") == "lost"
        ]
        if lost:
            log.warning("nodes lost: they were silent", number=len(lost), nodes=lost[:_MOST_SHOWN])

    async def _positions(self) -> Positions:
        """Return the position in each stream; nothing, when a subject has no stream, or NATS is unreachable."""
        client, plan = self._link.client, self._events.plan
        if client is None or plan is None or plan.loose:
            return {}
        with contextlib.suppress(*FAILURES, JetStreamError):
            return await _look_up(client, plan, self._heartbeat)
        return {}


async def _look_up(client: Client, plan: Plan, seconds: float) -> Positions:
    js = client.jetstream(timeout=seconds)
    positions = {}
    for stream in plan.streams:
        last = (await js.stream_info(stream)).state.last_seq
        info = await js.consumer_info(stream, CONSUMER)
        floor = info.ack_floor.stream_seq if info.ack_floor is not None else 0
        positions[stream] = Position(last, floor, info.num_pending or 0, info.num_ack_pending or 0)
    return positions


def _log_fleet(before: dict[str, Any], now: dict[str, Any]) -> None:
    """Log when most of the fleet falls silent, is lost, or is back."""
    if now["mass_lost_at"] and now["mass_lost_at"] != before.get("mass_lost_at"):
        log.error("most of the fleet is lost", nodes=now["mass_lost"], of=now["mass_of"], at=now["mass_lost_at"])
    elif now["suspected_since"] and not before.get("suspected_since"):
        log.warning("most of the fleet is silent; waiting for confirmation", since=now["suspected_since"])
    elif before.get("mass_lost_at") and not now["mass_lost_at"]:
        log.info("most of the nodes that were lost at once are back")
