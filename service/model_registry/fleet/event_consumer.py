"""Consumes the events of GPU nodes, and acknowledges each only once the database has it.

Receiving messages is in `event_sources.py`; recording them, in `event_recorder.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Protocol

import structlog
from nats.aio.client import Client

from model_registry.fleet.event_sources import Delivery, Source
from model_registry.fleet.jetstream_setup import ACK_WAIT_SECONDS, GPU_EVENTS, Events, Plan, StreamLimits, find_plan
from model_registry.messaging.connection import FAILURES, NatsConnection, cancel

log = structlog.get_logger(__name__)

_GRACE_SECONDS = 3.0
_MOST_WAIT_SECONDS = ACK_WAIT_SECONDS / 4
_AT_ONCE = 2
"""Batches in progress per source: one is parsed while the database records the other."""
_MOST_HEARTBEATS = 2000
"""Held back at once."""


class _PlanChangedError(Exception):
    """A better plan is possible, such as a stream for subjects that none kept."""


class Recorder(Protocol):
    """What is done with messages."""

    def read(self, delivery: Delivery) -> Delivery:
        """Parse a message."""

    async def record(self, read: Iterable[Delivery]) -> tuple[list[Delivery], list[Delivery]]:
        """Return the messages that are done, and those to deliver again."""


class EventConsumer:
    """Run two loops per source: take a batch, parse it, record it, acknowledge it. A worker of the supervisor."""

    def __init__(  # noqa: PLR0913 (its parts, and what it consumes)
        self,
        link: NatsConnection,
        recorder: Recorder,
        limits: StreamLimits,
        *,
        heartbeats_wait_seconds: float = 0.0,
        events: Events = GPU_EVENTS,
        at_once: int = _AT_ONCE,
    ) -> None:
        """Record heartbeats together, at most this many seconds late: one alone would cost as much.

        However rare, they are recorded before NATS considers this replica dead and delivers them again. `at_once`:
        batches in progress per source; 1 where the order counts. NATS then delivers the next message once the one
        before is done, to whichever replica: otherwise one that has to come again would come after later ones.
        """
        self._events = events
        self._at_once = at_once
        self._link = link
        self._recorder = recorder
        self._limits = replace(limits, in_flight=1) if at_once == 1 else limits
        self._heartbeats_wait = min(heartbeats_wait_seconds, _MOST_WAIT_SECONDS)
        self._client: Client | None = None
        self._is_new = asyncio.Event()
        """Set while a new client is not consumed from yet."""
        self._consuming: asyncio.Task[None] | None = None
        self._plan: Plan | None = None
        self._sources: list[Source] = []
        self._trouble = "not consuming yet"
        self._recording = asyncio.Semaphore(at_once)
        link.when_connected(self._take_over)

    @property
    def plan(self) -> Plan | None:
        """How events are consumed now; None while they are not."""
        return self._plan if self._link.connected else None

    async def finish(self) -> None:
        """Finish the batches in progress, for at most 3 s, and begin no other."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_GRACE_SECONDS):
                for _ in range(self._at_once):
                    await self._recording.acquire()

    async def close(self) -> None:
        """Stop consuming. Unacknowledged messages return to NATS at once, so this must not be cancelled."""
        await cancel(self._consuming)
        await self._stop_listening()

    def health(self) -> tuple[str, str]:
        """(status, detail), as `/readyz` shows them."""
        if not self._link.connected:
            return "down", (
                f"NATS cannot be reached ({self._link.trouble}); retrying. Events wait there; writes of other "
                "replicas are polled."
            )
        if self._plan is None:
            return "degraded", f"Events are not consumed: {self._trouble}"
        if self._plan.loose:
            return "degraded", (
                f"{', '.join(self._plan.loose)}: consumed, but events published while no replica listens are missed: "
                f"{self._plan.why}."
            )
        return "ok", f"consuming {', '.join(self._plan.streams)} with JetStream"

    async def run(self) -> None:
        """Consume from each client that the connection makes, until there is a newer one. Ends with a bug in it."""
        while True:
            client = await self._newest_client()
            # A client that is gone may never answer those that wait for it: what consumed from it is cancelled.
            await self.close()
            self._consuming = asyncio.create_task(self._consume_from(client), name="event-consumer of one client")
            replaced = asyncio.create_task(self._is_new.wait())
            try:
                await asyncio.wait({self._consuming, replaced}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                replaced.cancel()
            if self._consuming.done():
                self._consuming.result()

    async def _take_over(self, client: Client) -> None:
        self._client = client
        self._is_new.set()

    async def _newest_client(self) -> Client:
        while self._client is None:
            await self._is_new.wait()
        self._is_new.clear()
        return self._client

    async def _stop_listening(self) -> None:
        while self._sources:
            with contextlib.suppress(*FAILURES):
                await self._sources.pop().close()

    async def _consume_from(self, client: Client) -> None:
        """Consume by one plan after the other, and anew after whatever is expected to go wrong."""
        while True:
            try:
                await self._listen(client, await find_plan(client, self._limits, self._events))
            except* _PlanChangedError:
                log.info("streams changed; consuming by a new plan")
            except* FAILURES as failures:
                self._trouble = str(failures.exceptions[0]) or type(failures.exceptions[0]).__name__
                if client.is_connected:  # otherwise the connection has logged it already
                    log.warning("event consumer restarts", reason=self._trouble)
            except* Exception:  # a bug: the supervisor restarts this, and the stream keeps what was not acknowledged
                self._trouble = "it failed unexpectedly; see the log"
                raise
            finally:
                self._plan = None
            await self._stop_listening()
            await asyncio.sleep(self._link.pace.retry)

    async def _listen(self, client: Client, plan: Plan) -> None:
        """Consume by this plan until something fails or a better plan is possible."""
        self._sources = plan.sources(client)
        for source in self._sources:
            await source.open()
        await client.flush()  # /readyz must not report consuming before the server knows the subscriptions
        self._plan = plan
        log.info("consuming events", streams=plan.streams)
        if plan.loose:
            log.warning("events can be missed while no replica listens", subjects=plan.loose, reason=plan.why)
        async with asyncio.TaskGroup() as group:
            for source in self._sources:
                for _ in range(self._at_once):
                    group.create_task(self._consume(source))
            if plan.loose:
                group.create_task(self._look_again(client, plan))

    async def _consume(self, source: Source) -> None:
        waiting = HeartbeatBatcher(self._heartbeats_wait)
        try:
            while True:
                batch = await source.batch(waiting.patience())
                left = await self._take(source, waiting, batch)
                if left:
                    await asyncio.sleep(self._link.pace.retry)
        finally:
            with contextlib.suppress(*FAILURES):
                await source.again(waiting.read)

    async def _take(self, source: Source, waiting: HeartbeatBatcher, batch: Sequence[Delivery]) -> Sequence[Delivery]:
        """Record a batch and acknowledge it. Return the deliveries that failed, after asking NATS to redeliver them."""
        left = batch
        try:
            async with self._recording:
                left = read = waiting.pass_on([self._recorder.read(delivery) for delivery in batch])
                done, left = await self._recorder.record(read)
                await source.done(done)
        finally:
            with contextlib.suppress(*FAILURES):
                await source.again(left)
        return left

    async def _look_again(self, client: Client, plan: Plan) -> None:
        """Raise when a better plan is possible. Until then keep the subscriptions: subscribing anew can miss events."""
        while True:
            await asyncio.sleep(self._link.pace.look_again)
            if await find_plan(client, self._limits, self._events) != plan:
                raise _PlanChangedError


class HeartbeatBatcher:
    """Holds back the heartbeats of one source: a thousand recorded together cost as much as a few alone.

    All other messages pass at once.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Hold each for at most `seconds`."""
        self._seconds = seconds
        self._clock = clock
        self._due = 0.0
        self.read: list[Delivery] = []

    def patience(self) -> float | None:
        """Return the seconds until the heartbeats are due; None when there are none."""
        return max(0.0, self._due - self._clock()) if self.read else None

    def pass_on(self, read: Sequence[Delivery]) -> list[Delivery]:
        """Add these messages, and return those to record now."""
        if not self.read:
            self._due = self._clock() + self._seconds
        self.read += [one for one in read if one.content.is_heartbeat]
        now = [one for one in read if not one.content.is_heartbeat]
        if self.read and (self._clock() >= self._due or len(self.read) >= _MOST_HEARTBEATS):
            now += self.read
            self.read = []
        return now
