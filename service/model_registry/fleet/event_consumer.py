"""Consumes the events of GPU nodes, and acknowledges each only once the database has it.

Receiving messages is in `event_sources.py`; recording them, in `event_recorder.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

import structlog
from nats.aio.client import Client

from model_registry.fleet.event_recorder import EventRecorder
from model_registry.fleet.event_sources import Delivery, Source
from model_registry.fleet.heartbeat_batcher import HeartbeatBatcher
from model_registry.fleet.jetstream_setup import ACK_WAIT_SECONDS, Plan, StreamLimits, find_plan
from model_registry.messaging.connection import FAILURES, NatsConnection

log = structlog.get_logger(__name__)

_GRACE_SECONDS = 3.0
_MOST_WAIT_SECONDS = ACK_WAIT_SECONDS / 4
_AT_ONCE = 2
"""Batches in progress per source: one is parsed while the database records the other."""


class _OutdatedError(Exception):
    """A newer client exists, or a better plan is possible."""


class EventConsumer:
    """Run two loops per source: take a batch, parse it, record it, acknowledge it. A worker of the supervisor."""

    def __init__(
        self, link: NatsConnection, recorder: EventRecorder, limits: StreamLimits, *, heartbeats_wait_seconds: float
    ) -> None:
        """Record heartbeats together, at most this many seconds late: one alone would cost as much.

        However rare, they are recorded before NATS considers this replica dead and delivers them again.
        """
        self._link = link
        self._recorder = recorder
        self._limits = limits
        self._heartbeats_wait = min(heartbeats_wait_seconds, _MOST_WAIT_SECONDS)
        self._client: Client | None = None
        self._is_new = asyncio.Event()
        """Set while a new client is not consumed from yet."""
        self._plan: Plan | None = None
        self._sources: list[Source] = []
        self._trouble = "not consuming yet"
        self._recording = asyncio.Semaphore(_AT_ONCE)
        link.when_connected(self._take_over)

    @property
    def plan(self) -> Plan | None:
        """How events are consumed now; None while they are not."""
        return self._plan if self._link.connected else None

    async def finish(self) -> None:
        """Finish the batches in progress, for at most 3 s, and begin no other."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_GRACE_SECONDS):
                for _ in range(_AT_ONCE):
                    await self._recording.acquire()

    async def close(self) -> None:
        """Close the sources, returning unacknowledged messages to NATS at once; so this must not be cancelled."""
        while self._sources:
            with contextlib.suppress(*FAILURES):
                await self._sources.pop().close()

    def health(self) -> tuple[str, str]:
        """(status, detail), as `/readyz` shows them."""
        if not self._link.connected:
            return "down", (
                f"NATS cannot be reached ({self._link.trouble}); retrying. GPU events wait there; writes of other "
                "replicas are polled."
            )
        if self._plan is None:
            return "degraded", f"GPU events are not consumed: {self._trouble}"
        if self._plan.loose:
            return "degraded", (
                f"{', '.join(self._plan.loose)}: consumed, but events published while no replica listens are missed: "
                f"{self._plan.why}."
            )
        return "ok", f"consuming {', '.join(self._plan.streams)} with JetStream"

    async def run(self) -> None:
        """Consume from the connection's newest client, and restart after failures."""
        while True:
            await self.close()
            client = await self._newest_client()
            try:
                await self._listen(client, await find_plan(client, self._limits))
            except* _OutdatedError:
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
            await self._pause()

    async def _take_over(self, client: Client) -> None:
        self._client = client
        self._is_new.set()

    async def _newest_client(self) -> Client:
        if self._client is None:
            await self._is_new.wait()
        self._is_new.clear()
        assert self._client is not None  # noqa: S101 (set together with the event)
        return self._client

    async def _pause(self) -> None:
        """Pause before the next attempt, unless a new client arrives."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._link.pace.retry):
                await self._is_new.wait()

    async def _listen(self, client: Client, plan: Plan) -> None:
        """Consume by this plan until something fails or a better plan is possible."""
        self._sources = plan.sources(client)
        for source in self._sources:
            await source.open()
        await client.flush()  # /readyz must not report consuming before the server knows the subscriptions
        self._plan = plan
        log.info("consuming gpu events", streams=plan.streams)
        if plan.loose:
            log.warning("gpu events can be missed while no replica listens", subjects=plan.loose, reason=plan.why)
        async with asyncio.TaskGroup() as group:
            for source in self._sources:
                for _ in range(_AT_ONCE):
                    group.create_task(self._consume(source))
            group.create_task(self._until_replaced())
            if plan.loose:
                group.create_task(_look_again(client, plan, self._limits, self._link.pace.look_again))

    async def _until_replaced(self) -> None:
        await self._is_new.wait()
        raise _OutdatedError

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


async def _look_again(client: Client, plan: Plan, limits: StreamLimits, seconds: float) -> None:
    """Raise when a better plan is possible. Until then keep the subscriptions: subscribing anew can miss events."""
    while True:
        await asyncio.sleep(seconds)
        if await find_plan(client, limits) != plan:
            raise _OutdatedError
