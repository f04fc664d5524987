"""Records batches of messages: parse, record in few transactions, publish rejections.

Receiving messages is in `event_sources.py`; their meaning, in `gpu_events.py`; rejections, in `rejected.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime

import structlog

from model_registry.entities.node import NodeReportBatch, RecordResult
from model_registry.errors import (
    InvalidEvent,
    RegistryError,
    StatementTimeout,
    StorageError,
    StorageMisconfigured,
    StorageUnavailable,
)
from model_registry.fleet.event_sources import Delivery
from model_registry.fleet.gpu_events import NOTHING, read_event
from model_registry.fleet.rejected import publish_rejections, rejected_event
from model_registry.fleet.status_messages import StatusDigests
from model_registry.messaging.connection import NatsConnection
from model_registry.messaging.subjects import EVENT_SUBJECTS, REJECTED
from model_registry.store.registry import Registry

log = structlog.get_logger(__name__)

ACTOR = "gpu events"
MOST_EVENTS = 2000
"""Events in one transaction; a status message counts one per model."""
MOST_TRIES = 10
"""Attempts at an event that the database refuses without a known reason while it accepts others in between."""
_MOST_REFUSED = 10_000
MOST_IN_A_ROW = 20
"""Refusals without a known reason, and nothing recorded in between: then it is the database, not the events."""
MOST_TIMEOUTS_IN_A_ROW = 5
"""The same of statements that the database cancelled: each of them took seconds."""
_PIECES = 16
"""Into how many a part without a known fault is cut: few attempts lead from thousands of events to a single one."""

Count = Callable[[str, int], None]
"""Counts messages by outcome: recorded, heartbeat, ignored, rejected, failed (and delivered again)."""


class EventRecorder:
    """Parses messages and records their events."""

    def __init__(self, registry: Registry, link: NatsConnection, *, default_node: str, count: Count) -> None:
        self._registry = registry
        self._link = link
        self._default_node = default_node
        self._count = count
        self._known = StatusDigests()
        self._refusals = PoisonCounter()

    def read(self, delivery: Delivery, *, whole: bool = False) -> Delivery:
        """Parse a message. With `whole`, also one whose digest equals that of the node's last message."""
        message = delivery.message
        delivery.content, delivery.reasons = NOTHING, []
        if message.subject not in EVENT_SUBJECTS:  # an administrator's consumer may deliver our own rejections
            return delivery
        known = (lambda _node_id: None) if whole else self._known.digest_of
        try:
            delivery.content = read_event(
                message.subject,
                message.data,
                received_at=delivery.received_at,
                default_node=self._default_node,
                known=known,
            )
        except InvalidEvent as error:
            delivery.reasons = [error.message]
        if delivery.content.problems:
            delivery.reasons = [delivery.content.problem]
        return delivery

    async def record(self, read: Iterable[Delivery]) -> tuple[list[Delivery], list[Delivery]]:
        """Record in few transactions. Return the messages that are done, and those to deliver again.

        A part that the database refuses is cut and tried again, down to the one message at fault. An outage ends the
        attempt: it is the fault of no message, however the database or a gateway in front of it says so.
        """
        parts = in_parts(read)
        done: list[Delivery] = []
        left: list[Delivery] = []
        in_a_row = 0
        while parts:
            part = parts.pop()
            try:
                await self._record_part(part)
            except RegistryError as error:
                in_a_row += isinstance(error, StorageError)
                if _is_outage(error, in_a_row):
                    left += [*part, *(one for other in parts for one in other)]
                    log.warning("events not recorded; they will come again", left=len(left), error=error.message)
                    break
                if len(part) > 1:
                    parts += _pieces(part, _PIECES if isinstance(error, StorageError) else 2)
                elif not isinstance(error, StorageError) and not part[0].content.is_empty:
                    parts.append([_rejection(part[0], error.message)])
                elif self._refusals.count(part[0]) < MOST_TRIES:
                    left += part  # a refusal without a known reason need not be the event's fault
                elif not part[0].content.is_empty:
                    reason = f"The database refused it {MOST_TRIES} times and took others. {error.message}"
                    parts.append([_rejection(part[0], reason)])
                else:
                    done += part  # not even the rejection can be stored: it is only published
            else:
                in_a_row = 0
                done += part
        unsent = await publish_rejections(self._link, [one for one in done if one.reasons], REJECTED)
        self._count_outcomes(done, left)
        return [one for one in done if id(one) not in unsent], left + [one for one in done if id(one) in unsent]

    async def _record_part(self, part: Sequence[Delivery]) -> None:
        """Record; repeat for messages that the database wants whole, and for rejections of what it had no room for."""
        todo = part
        while todo:
            batch = _batch_of(todo)
            if not (batch.events or batch.statuses or batch.rejected):
                return
            recorded = await self._registry.record_reports(batch, actor=ACTOR)
            if batch.received:
                self._refusals.note_taken()
            for status in batch.statuses:
                if status.node_id in recorded.unsettled or status.node_id in recorded.crowded:
                    self._known.forget(status.node_id)
                elif not status.is_heartbeat:
                    self._known.note(status)
            todo = self._left_over(todo, recorded)

    def _left_over(self, read: Sequence[Delivery], recorded: RecordResult) -> list[Delivery]:
        todo: list[Delivery] = []
        if recorded.unsettled:
            asked = (one for one in read if one.content.is_heartbeat and one.content.node_id in recorded.unsettled)
            todo += [self.read(one, whole=True) for one in asked]
        if recorded.crowded or recorded.refused:
            todo += [rejected for one in read if (rejected := self._without_room(one, recorded)) is not None]
        return todo

    def _without_room(self, one: Delivery, recorded: RecordResult) -> Delivery | None:
        """Return the rejection of deployments refused by the fleet's limits; None when all were recorded."""
        node_id = one.content.node_id
        refused = [event.key for event in one.content.events if event.key in recorded.refused]
        if node_id in recorded.crowded and not one.content.is_heartbeat:
            one.content = NOTHING
            one.reasons.append(self._registry.fleet_full(str(node_id)).message)
        elif refused:
            if one.content.event is not None:
                one.content = NOTHING
            more = f" And {len(refused) - 1} more." if len(refused) > 1 else ""
            one.reasons.append(self._registry.node_full(refused[0]).message + more)
        else:
            return None
        return replace(one, content=NOTHING)

    def _count_outcomes(self, done: Sequence[Delivery], left: Sequence[Delivery]) -> None:
        numbers = {
            "recorded": sum(not one.content.is_empty and not one.content.is_heartbeat for one in done),
            "heartbeat": sum(one.content.is_heartbeat for one in done),
            "rejected": sum(bool(one.reasons) for one in done),
            "ignored": sum(one.content.is_empty and not one.reasons for one in done),
            "failed": len(left),
        }
        for outcome, number in numbers.items():
            if number:
                self._count(outcome, number)


class PoisonCounter:
    """Counts unexplained refusals of an event by the database, to decide whether the event is at fault.

    Counts those between which other events were recorded: counting deliveries would count outages as well.
    """

    def __init__(self) -> None:
        self._taken = 0
        self._refused: dict[tuple[datetime, str, int], tuple[int, int]] = {}

    def note_taken(self) -> None:
        """Note that events were recorded; heartbeats and rejections do not prove that the database accepts events."""
        self._taken += 1

    def count(self, delivery: Delivery) -> int:
        """Count a refusal, and return the number so far. Refusals with no event recorded between them count once."""
        message = delivery.message
        key = (delivery.received_at, message.subject, hash(message.data))
        times, taken = self._refused.get(key, (0, -1))
        if taken < self._taken:
            times += 1
        if len(self._refused) >= _MOST_REFUSED:
            self._refused.clear()  # counts begin anew; no event is lost
        self._refused[key] = times, self._taken
        return times


def in_parts(read: Iterable[Delivery]) -> list[list[Delivery]]:
    """Split messages into parts of at most `MOST_EVENTS`, one transaction each."""
    parts: list[list[Delivery]] = []
    room = 0
    for one in read:
        size = one.content.size
        if size > room:
            parts.append([])
            room = MOST_EVENTS
        parts[-1].append(one)
        room -= size
    return parts


def _is_outage(error: RegistryError, in_a_row: int) -> bool:
    """Tell whether to stop: nothing can be recorded for now, whatever the events are."""
    if isinstance(error, StorageUnavailable | StorageMisconfigured):
        return True
    most = MOST_TIMEOUTS_IN_A_ROW if isinstance(error, StatementTimeout) else MOST_IN_A_ROW
    return isinstance(error, StorageError) and in_a_row >= most


def _pieces(part: Sequence[Delivery], number: int) -> list[list[Delivery]]:
    size = -(-len(part) // number)
    return [list(part[start : start + size]) for start in range(0, len(part), size)]


def _rejection(delivery: Delivery, reason: str) -> Delivery:
    """Return the message with only its rejection to record."""
    return replace(delivery, content=NOTHING, reasons=[reason])


def _batch_of(read: Iterable[Delivery]) -> NodeReportBatch:
    batch = NodeReportBatch()
    for one in read:
        if one.content.event is not None:
            batch.add_event(one.content.event, one.received_at)
        elif one.content.status is not None:
            batch.add_status(one.content.status)
        if one.reasons:
            batch.add_rejected(*rejected_event(one))
    return batch
