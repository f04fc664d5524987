"""Records what GPU nodes publish: acknowledged only once the database has it.

Where messages come from is in `event_sources.py`; what they mean, in `fleet/gpu_events.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import orjson
import structlog
from nats.aio.client import Client

from model_registry.entities.deployment import DeploymentEvent
from model_registry.errors import InvalidEvent, RegistryError, StorageError, StorageMisconfigured, StorageUnavailable
from model_registry.fleet.gpu_events import REJECTED, SUBJECTS, read_event
from model_registry.messaging.ending import end
from model_registry.messaging.link import FAILURES, NatsLink
from model_registry.store.registry import Registry
from model_registry.workers.event_plan import Plan, find_plan
from model_registry.workers.event_sources import Delivery, Source

log = structlog.get_logger(__name__)

ACTOR = "gpu events"
MOST_EVENTS = 2000
"""Events in one transaction; a message of many models counts as many."""
SHOWN_BYTES = 16 * 1024
"""Of a rejected payload, what is published with the reason."""

_RETRY_SECONDS = 1.0
_LOOK_AGAIN_SECONDS = 5.0
_GRACE_SECONDS = 3.0

Count = Callable[[str, int], None]
"""Told of messages by outcome: recorded, ignored, rejected, failed (and delivered again)."""


@dataclass(frozen=True, slots=True)
class _Read:
    """A message, and what it says."""

    delivery: Delivery
    events: list[DeploymentEvent]


class _PlanChangedError(Exception):
    """What was loose can be had from a stream now."""


class EventConsumer:
    """One loop a source: take a batch, read it, record it, acknowledge it."""

    def __init__(self, registry: Registry, link: NatsLink, *, default_node: str, count: Count) -> None:
        self._registry = registry
        self._link = link
        self._default_node = default_node
        self._count = count
        self._task: asyncio.Task[None] | None = None
        self._plan: Plan | None = None
        self._sources: list[Source] = []
        self._trouble = "not consuming yet"
        self._recording = asyncio.Lock()
        self._stopping = False

    def start(self) -> None:
        """Begin consuming as soon as NATS is there."""
        self._link.when_connected(self._begin)

    async def stop(self) -> None:
        """Finish the batch in hand, for at most 3 s, and stop. What is not acknowledged others are given at once."""
        self._stopping = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_GRACE_SECONDS):
                await self._recording.acquire()
        await self._end()

    def health(self) -> tuple[str, str]:
        """(status, detail), as `/readyz` shows them."""
        if not self._link.connected:
            return "down", (
                f"NATS cannot be reached ({self._link.trouble}); trying on. GPU events wait there; writes of other "
                "replicas are polled."
            )
        if self._plan is None:
            return "degraded", f"GPU events are not consumed: {self._trouble}"
        if self._plan.loose:
            return "degraded", (
                f"{', '.join(self._plan.loose)}: heard, but events published while no replica listens are missed: "
                f"{self._plan.why}."
            )
        return "ok", f"consuming {', '.join(self._plan.streams)} with JetStream"

    async def _begin(self, client: Client) -> None:
        await self._end()
        if self._stopping:
            return  # the connection was made while we stopped
        self._task = asyncio.create_task(self._run(client), name="event-consumer")

    async def _end(self) -> None:
        await end(self._task)
        await self._close()

    async def _close(self) -> None:
        """Stop listening. Not in the task that may be cancelled: what is not taken has to be given back."""
        while self._sources:
            with contextlib.suppress(*FAILURES):
                await self._sources.pop().close()

    async def _run(self, client: Client) -> None:
        while True:
            try:
                await self._listen(client, await find_plan(client))
            except* _PlanChangedError:
                log.info("events can be had another way; consuming anew")
            except* FAILURES as failures:
                self._trouble = str(failures.exceptions[0]) or type(failures.exceptions[0]).__name__
                if client.is_connected:  # else it is no news: the link has said so
                    log.warning("event consumer starts again", reason=self._trouble)
            except* Exception as bug:  # the loop must outlive one: the stream keeps what was not acknowledged
                self._trouble = "it failed unexpectedly; the log says how"
                log.exception("event consumer failed unexpectedly; starting again", error=repr(bug))
            self._plan = None
            await self._close()
            await asyncio.sleep(_RETRY_SECONDS)

    async def _listen(self, client: Client, plan: Plan) -> None:
        """Consume by this plan until something is wrong or there is a better one."""
        self._sources = plan.sources(client)
        for source in self._sources:
            await source.open()
        await client.flush()  # so that /readyz does not say that we listen before the server knows
        self._plan = plan
        log.info("consuming gpu events", streams=plan.streams)
        if plan.loose:
            log.warning("gpu events can be missed while no replica listens", subjects=plan.loose, reason=plan.why)
        async with asyncio.TaskGroup() as group:
            for source in self._sources:
                group.create_task(self._consume(source))
            if plan.loose:
                group.create_task(_look_again(client, plan))

    async def _consume(self, source: Source) -> None:
        while True:
            batch = await source.batch()
            left = batch
            try:
                async with self._recording:
                    left = await self._take(source, batch)
            finally:
                with contextlib.suppress(*FAILURES):
                    await source.again(left)
            if left:
                await asyncio.sleep(_RETRY_SECONDS)

    async def _take(self, source: Source, batch: Sequence[Delivery]) -> list[Delivery]:
        """Deal with a batch. What is left has to be delivered again."""
        read: list[_Read] = []
        finished: list[Delivery] = []
        left: list[Delivery] = []
        for delivery in batch:
            events = await self._read(delivery)
            if events is None:
                left.append(delivery)
            elif events:
                read.append(_Read(delivery, events))
            else:
                finished.append(delivery)
        await source.done(finished)
        return left + await self._record(source, read)

    async def _read(self, delivery: Delivery) -> list[DeploymentEvent] | None:
        """What there is to record of a message; None when it has to be delivered again."""
        message = delivery.message
        if message.subject not in SUBJECTS:  # from a consumer that somebody made: our own rejections may be among it
            self._count("ignored", 1)
            return []
        try:
            heard = read_event(
                message.subject, message.data, received_at=delivery.received_at, default_node=self._default_node
            )
        except InvalidEvent as error:
            return [] if await self._reject(delivery, error.message) else None
        if heard.problems and not await self._reject(delivery, heard.problem):
            return None
        if not heard.events and not heard.problems:
            self._count("ignored", 1)
            log.debug("a gpu event without a model was heard", subject=message.subject)
        return heard.events

    async def _record(self, source: Source, read: list[_Read]) -> list[Delivery]:
        """Record in few transactions, and acknowledge; what is left has to be delivered again.

        Where the database refuses a part, its halves are tried, down to the one message that spoils it.
        """
        parts = _parts(read)
        left: list[_Read] = []
        while parts:
            part = parts.pop()
            try:
                await self._registry.record([event for one in part for event in one.events], actor=ACTOR)
            except (StorageUnavailable, StorageMisconfigured) as error:
                left += [*part, *(one for other in parts for one in other)]
                log.warning("events not recorded; they will be delivered again", left=len(left), error=error.message)
                break
            except RegistryError as error:
                if len(part) > 1:
                    parts += [part[: len(part) // 2], part[len(part) // 2 :]]
                elif not isinstance(error, StorageError) and await self._reject(part[0].delivery, error.message):
                    await source.done([part[0].delivery])
                else:
                    left += part  # what the database cannot explain need not be the event's fault
            else:
                self._count("recorded", len(part))
                await source.done([one.delivery for one in part])
        if left:
            self._count("failed", len(left))
        return [one.delivery for one in left]

    async def _reject(self, delivery: Delivery, reason: str) -> bool:
        """Say why, where somebody can read it; whether it was said."""
        message = delivery.message
        rejection = {
            "type": REJECTED,
            "subject": message.subject,
            "reason": reason,
            "payload": message.data[:SHOWN_BYTES].decode("utf-8", "replace"),
            "ts": int(delivery.received_at.timestamp()),
        }
        if not await self._link.publish(REJECTED, orjson.dumps(rejection)) and not self._link.connected:
            return False
        self._count("rejected", 1)
        log.warning("gpu event rejected", subject=message.subject, reason=reason)
        return True


async def _look_again(client: Client, plan: Plan) -> None:
    """Raise when there is a better plan. Until then nobody is disturbed: who listens anew can miss something."""
    while True:
        await asyncio.sleep(_LOOK_AGAIN_SECONDS)
        if await find_plan(client) != plan:
            raise _PlanChangedError


def _parts(read: list[_Read]) -> list[list[_Read]]:
    """What goes into one transaction each."""
    parts: list[list[_Read]] = []
    room = 0
    for one in read:
        if len(one.events) > room:
            parts.append([])
            room = MOST_EVENTS
        parts[-1].append(one)
        room -= len(one.events)
    return parts
