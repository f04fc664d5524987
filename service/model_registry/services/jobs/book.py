"""The jobs that one replica works on, and their records: nothing is sent for a job before that is recorded.

While the database is away, what runs goes on. A step that must be recorded first waits for it. A job that was never
recorded is known to nobody else, so its owner alone can send: it needs no record, and gets one later.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterator

import structlog

from model_registry.entities.service_job import ServiceJob
from model_registry.errors import RegistryError, StorageError, StorageUnavailable
from model_registry.services.jobs.held import HeldJob, JobLost
from model_registry.store.job_records import JobRecords, nothing_was_sent

log = structlog.get_logger(__name__)

_MOST_ENDED = 50
"""Ended jobs kept in memory, for callers that ask while the database is away."""
_RETRY_SECONDS = 1.0


class JobBook:
    """The jobs of one replica."""

    def __init__(self, records: JobRecords, is_away: Callable[[], bool]) -> None:
        """`is_away`: whether the database is known not to answer."""
        self.records = records
        self._is_away = is_away
        self._held: dict[str, HeldJob] = {}
        self._ended: OrderedDict[str, HeldJob] = OrderedDict()

    def __iter__(self) -> Iterator[HeldJob]:
        """The jobs that have not ended, or whose end is not recorded yet."""
        return iter(list(self._held.values()))

    def get(self, job_id: str) -> HeldJob | None:
        """A job of this replica; also one that ended lately."""
        return self._held.get(job_id) or self._ended.get(job_id)

    def with_key(self, job: ServiceJob) -> HeldJob | None:
        """The job of this replica that the same caller made with the same Idempotency-Key."""
        key = (job.created_by, job.idempotency_key)
        held = (*self._held.values(), *self._ended.values())
        return next((h for h in held if job.idempotency_key and (h.job.created_by, h.job.idempotency_key) == key), None)

    def hold(self, held: HeldJob) -> HeldJob:
        """Take a job in."""
        self._held[held.job.id] = held
        return held

    def let_go(self, held: HeldJob) -> None:
        """Drop a job that needs no more work. What has ended is kept for a while."""
        self._held.pop(held.job.id, None)
        if held.job.ended:
            self._ended[held.job.id] = held
            while len(self._ended) > _MOST_ENDED:
                self._ended.popitem(last=False)

    async def record(self, held: HeldJob) -> None:
        """Record what has changed. Afterwards the job may be lost. Errors: those of `Database.call`."""
        async with held.recording:
            if held.durable:
                await self._update(held)
            elif not held.lost:
                await self._create(held)

    async def before_sending(self, held: HeldJob) -> None:
        """Record that a request is about to be sent; wait for the database while it is away. Errors: JobLost.

        Cancelled at any moment, nothing has been sent.
        """
        while not held.lost:
            try:
                await self.record(held)
            except StorageError as error:
                if not held.durable and held.certain:
                    return
                log.warning("a job waits for the database", job=held.job.id, error=error.message)
            else:
                if not held.lost:
                    return
            await asyncio.sleep(_RETRY_SECONDS)
        raise JobLost

    async def _create(self, held: HeldJob) -> None:
        if self._is_away():  # not even tried: so it stays certain that nobody else knows of it
            raise StorageUnavailable("The database does not answer.")
        sent = held.job
        was_certain, held.certain = held.certain, False
        try:
            stored, _ = await self.records.create(sent)
        except StorageUnavailable as error:
            held.certain = was_certain and nothing_was_sent(error)
            raise
        except RegistryError:
            held.certain = was_certain
            raise
        if stored.id != sent.id and sent.phase != "queued":
            # While the database was away, another replica took a request with the same key: both jobs are true.
            held.change(idempotency_key=None)
            await self._create(held)
            return
        if stored.owner != self.records.owner or (stored.ended and not sent.ended):
            held.lose(stored)
            return
        held.durable = True
        held.unrecorded = set() if held.job is sent and stored.phase == sent.phase else set(_RECORDED)
        held.recorded(stored)

    async def _update(self, held: HeldJob) -> None:
        fields, held.unrecorded = held.unrecorded, set()
        if not fields:
            return
        try:
            stored = await self.records.update(held.job, fields)
        except BaseException:
            held.unrecorded |= fields
            raise
        if stored is not None:
            held.recorded(stored)
            return
        now = await self._stored(held)
        if held.job.ended and now is not None and not now.ended:
            held.unrecorded |= fields  # its new owner is about to take the outcome for unknown: then ours counts
            held.lost = True
        else:
            held.lose(now)

    async def _stored(self, held: HeldJob) -> ServiceJob | None:
        """How a job that was lost is now; None also where that cannot be learned at once."""
        try:
            return next(iter(await self.records.by_id([held.job.id])), None)
        except StorageError:
            return None


_RECORDED = frozenset({
    *("model_name", "phase", "training_flow", "service_id", "progress", "detail", "error", "answer", "answer_body"),
    *("sender", "started_at"),
})  # fmt: skip
"""What changes while a job runs."""
