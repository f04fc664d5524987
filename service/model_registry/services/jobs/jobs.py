"""The jobs of a registry, for its API: made, looked up, followed, cancelled; and the worker that keeps them."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import structlog

from model_registry.entities.service_job import ENDED, JobPhase, ServiceJob
from model_registry.errors import Conflict, NotFound, OutcomeUnknown, RegistryError, RepeatedRequest, StorageError
from model_registry.services.jobs.book import JobBook
from model_registry.services.jobs.endings import end, what_to_do
from model_registry.services.jobs.held import HeldJob, JobLost
from model_registry.services.jobs.looks import JobLooks
from model_registry.services.jobs.states import UNSENT
from model_registry.services.jobs.training import TrainingFlows
from model_registry.snapshot.lookup import as_uuid
from model_registry.store.job_records import JobPage
from model_registry.store.signal import Signal

log = structlog.get_logger(__name__)

_CREATE_SECONDS: Final = 3.0
"""For how long a caller waits until a job is recorded. It is worked on all the same."""
_STOP_SECONDS: Final = 4.0
_TICKS_PER_RENEWAL: Final = 4
CANCELLED: Final = "Cancelled before the training was sent."


@dataclass(frozen=True, slots=True)
class SeenJob:
    """A job at one moment, and whether it survives this replica."""

    job: ServiceJob
    durable: bool = True


class Jobs:
    """The jobs that all replicas share; this one works on some of them."""

    def __init__(self, book: JobBook, flows: TrainingFlows, *, works: bool = True, tick_seconds: float = 1.0) -> None:
        """`works`: whether this replica takes jobs over; one of the role control only shows them."""
        self._book = book
        self._flows = flows
        self._works = works
        self._tick_seconds = tick_seconds
        """Between two records of progress; every fourth time leases are renewed."""
        self.ended: Signal[ServiceJob] = Signal()
        """A job that this replica worked on has ended."""
        self._looks = JobLooks(book.records)
        self._renewed_at = 0.0
        self._stopping = False

    def __len__(self) -> int:
        return sum(not held.job.ended for held in self._book)

    def running(self) -> list[ServiceJob]:
        """The jobs that this replica works on."""
        return [held.job for held in self._book if not held.job.ended]

    async def create(self, job: ServiceJob) -> SeenJob:
        """Begin a job, and return at once; or the one that there is for the same Idempotency-Key.

        Recorded within 3 s, or, while the database is away, later: then it is not durable, and lost if this replica
        ends before. Errors: RepeatedRequest; TooManyRequests when too many have not ended.
        """
        earlier = self._book.with_key(job)
        if earlier is not None:
            return _same(job, SeenJob(earlier.job, earlier.durable))
        held = self._book.hold(HeldJob(job.model_copy(update={"created_at": datetime.now(UTC).isoformat()})))
        try:
            async with asyncio.timeout(_CREATE_SECONDS):
                await self._book.record(held)
        except (StorageError, TimeoutError) as error:
            log.warning("a job is not recorded yet", job=job.id, error=str(error))
        except BaseException:
            self._book.let_go(held)
            raise
        if held.lost:
            self._book.let_go(held)
            return _same(job, SeenJob(held.job))
        self._work_on(held)
        return SeenJob(held.job, held.durable)

    async def get(self, job_id: str) -> SeenJob:
        """A job. Errors: NotFound; StorageUnavailable, for one of another replica while the database is away."""
        held = self._book.get(job_id)
        if held is not None and not held.lost:
            return SeenJob(held.job, held.durable)
        found = await self._book.records.by_id([job_id]) if as_uuid(job_id) == job_id else []
        if not found:
            raise NotFound(f"There is no job {job_id!r}. The newest 1,000 that ended are kept.")
        return SeenJob(found[0])

    async def page(
        self, model_types: Sequence[str] | None, phases: Sequence[JobPhase] | None, limit: int, offset: int
    ) -> tuple[JobPage, str | None]:
        """A page of the jobs of these model types and phases, newest first, and why it may not be complete.

        While the database is away: those of this replica.
        """
        try:
            page = await self._book.records.page(model_types, phases, limit, offset)
        except StorageError as error:
            own = [h.job for h in self._book if _fits(h.job, model_types, phases)]
            own.sort(key=lambda job: job.created_at or "", reverse=True)
            return JobPage(own[offset : offset + limit], len(own)), error.message
        items = [held.job if (held := self._book.get(job.id)) and not held.lost else job for job in page.items]
        return JobPage(items, page.count), None

    async def cancel(self, job_id: str) -> SeenJob:
        """End a job whose training was not sent. Errors: Conflict when it was; those of `get`."""
        held = self._book.get(job_id)
        if held is not None and not held.durable and held.certain:
            if held.job.phase in UNSENT:
                held.change(phase="cancelled", detail=CANCELLED)
            stored: ServiceJob | None = held.job
        else:
            stored = await self._book.records.cancel(job_id, CANCELLED)
        if stored is None:
            raise NotFound(f"There is no job {job_id!r}.")
        if stored.phase != "cancelled":
            raise Conflict(_why_not_cancelled(stored))
        if held is not None:
            if held.durable:
                held.lose(stored)
            if held.task is not None:
                held.task.cancel()
        return SeenJob(stored, held is None or held.durable)

    async def follow(self, job_id: str) -> AsyncGenerator[SeenJob, None]:
        """The job now, and after each change, until it has ended. Errors: those of `get`."""
        seen: SeenJob | None = await self.get(job_id)
        while seen is not None:
            yield seen
            seen = None if seen.job.ended else await self._next(seen)

    async def wait(self, begun: SeenJob, seconds: float) -> SeenJob:
        """The job at its end, or after this time."""
        latest = begun
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                async for seen in self.follow(begun.job.id):
                    latest = seen
        return latest

    async def _next(self, seen: SeenJob) -> SeenJob | None:
        """The job when it differs from what was seen; None when this replica stops, or the job is not kept any more.

        While the database is away, there is no news of another replica's job.
        """
        while not self._stopping:
            held = self._book.get(seen.job.id)
            if held is not None and not held.lost:
                if (held.job.version, held.durable) != (seen.job.version, seen.durable):
                    return SeenJob(held.job, held.durable)
                await held.changed.wait()
                continue
            with contextlib.suppress(StorageError):
                now = await self._looks.at(seen.job.id)
                if now is None or now.version != seen.job.version:
                    return None if now is None else SeenJob(now)
        return None

    def release(self) -> None:
        """Let every caller go that waits for a job: the service is about to stop."""
        self._stopping = True
        for held in self._book:
            held.notify()

    # The worker -------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Record progress, keep what is this replica's, and take over what is nobody's."""
        while True:
            await self._tick()
            await asyncio.sleep(self._tick_seconds)

    async def _tick(self) -> None:
        for held in self._book:
            await self._keep(held)
        loop = asyncio.get_running_loop()
        if loop.time() - self._renewed_at < _TICKS_PER_RENEWAL * self._tick_seconds:
            return
        try:
            await self._renew()
            self._renewed_at = loop.time()
            if self._works:
                for job in await self._book.records.claim():
                    self._take_over(job)
        except StorageError as error:
            log.debug("jobs are not looked after", error=error.message)

    async def _keep(self, held: HeldJob) -> None:
        if held.unrecorded or not held.durable:
            try:
                await self._book.record(held)
            except RegistryError as error:
                log.debug("a job is not recorded", job=held.job.id, error=error.message)
        is_done = held.task is None or held.task.done()
        if is_done and not held.unrecorded and (held.lost or (held.durable and held.job.ended)):
            self._book.let_go(held)

    async def _renew(self) -> None:
        durable = [held for held in self._book if held.durable and not held.lost and not held.job.ended]
        if not durable:
            return
        kept = await self._book.records.renew([held.job.id for held in durable])
        for held in durable:
            if held.job.id not in kept and not held.job.ended:
                log.warning("another replica has taken a job over", job=held.job.id)
                held.lost = True

    def _take_over(self, job: ServiceJob) -> None:
        known = self._book.get(job.id)
        if known is not None and not known.lost:
            return
        log.info("a job is taken over", job=job.id, phase=job.phase, model_type=job.model_type)
        self._work_on(self._book.hold(HeldJob(job, durable=True)))

    def _work_on(self, held: HeldJob) -> None:
        held.task = asyncio.create_task(self._work(held), name=f"job {held.job.id}")

    async def _work(self, held: HeldJob) -> None:
        try:
            await self._flows.carry_out(held)
        except JobLost:
            log.info("a job is not this replica's any more", job=held.job.id)
        except Exception:  # a bug must not leave a job that never ends
            log.exception("a job failed unexpectedly", job=held.job.id)
            is_unsent = held.job.phase in UNSENT
            error = RegistryError("The registry failed. See its log.")
            end(held, "failed" if is_unsent else "unknown", error, None if is_unsent else what_to_do(held))
        if held.job.ended and not held.lost:
            self.ended.send(held.job)
        with contextlib.suppress(RegistryError):
            await self._book.record(held)

    async def stop(self) -> None:
        """Leave the jobs to other replicas. A training that waits for its answer cannot be left: it becomes unknown."""
        self._works = False
        held_jobs = [held for held in self._book if held.task is not None and not held.task.done()]
        for held in held_jobs:
            assert held.task is not None  # noqa: S101 (just looked)
            held.task.cancel()
            if held.job.training_flow == "direct" and held.job.phase == "training_sent":
                message = f"The training was sent to {held.job.service_id}, and the registry was stopped meanwhile."
                end(held, "unknown", OutcomeUnknown(message), what_to_do(held))
        with contextlib.suppress(StorageError, TimeoutError):
            async with asyncio.timeout(_STOP_SECONDS):
                for held in self._book:
                    await self._book.record(held)
                await self._book.records.release()


def digest_of(request: str) -> str:
    """What tells a repeated request from another one."""
    return hashlib.sha256(request.encode()).hexdigest()


def _same(asked: ServiceJob, there: SeenJob) -> SeenJob:
    """The job that there is for a key. Errors: RepeatedRequest, when it is for another request."""
    is_same = there.job.request_digest == asked.request_digest
    if not is_same or there.job.model_type.lower() != asked.model_type.lower():
        raise RepeatedRequest(f"The Idempotency-Key was used for another request: job {there.job.id}.")
    return there


def _fits(job: ServiceJob, model_types: Sequence[str] | None, phases: Sequence[JobPhase] | None) -> bool:
    return (model_types is None or job.model_type.lower() in model_types) and (phases is None or job.phase in phases)


def _why_not_cancelled(job: ServiceJob) -> str:
    if job.status in ENDED:
        return f"The job {job.id} has ended: {job.status}."
    return (
        f"The training was sent to {job.service_id}: the registry cannot stop it, and does not claim to. Stop it there."
    )
