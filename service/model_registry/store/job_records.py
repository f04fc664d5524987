"""Jobs in the database: recorded before anything is sent for them, owned by one replica at a time, and trimmed.

No part of the snapshot, and not in the change log: a job is no configuration.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import httpx2
import orjson

from model_registry.entities.service_job import JobPhase, ServiceJob
from model_registry.errors import StorageUnavailable, TooManyRequests
from model_registry.store.client import Database

MOST_OPEN = 1000
"""Jobs that have not ended; further ones are refused."""
LEASE_SECONDS = 15.0
"""For how long a job stays its owner's without a word from it, by the database's clock."""
_CLAIMED_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class JobPage:
    """A page of jobs, newest first, and how many there are in all."""

    items: list[ServiceJob]
    count: int


class JobRecords:
    """The jobs in the database, as one replica writes and reads them.

    Every method is one call, not retried. Errors: those of `Database.call`.
    """

    def __init__(self, database: Database, owner: str, lease_seconds: float = LEASE_SECONDS) -> None:
        self._database = database
        self.owner = owner
        self.lease_seconds = lease_seconds

    async def create(self, job: ServiceJob) -> tuple[ServiceJob, bool]:
        """Record a job, owned by this replica, and whether it is new: the same one may have been recorded before.

        Errors: TooManyRequests when too many have not ended.
        """
        given = orjson.Fragment(job.model_dump_json(exclude_none=True))
        answer = await self._database.call("registry_create_job", job=given, most_open=MOST_OPEN, **self._lease())
        if "open" in answer:
            message = (
                f"{answer['open']:,} jobs have not ended, and no more than {MOST_OPEN:,} are kept. Try again later."
            )
            raise TooManyRequests(message)
        return ServiceJob(**answer["job"]), bool(answer["created"])

    async def update(self, job: ServiceJob, fields: Collection[str]) -> ServiceJob | None:
        """Record some fields of a job, and keep it; None when it is not this replica's any more."""
        changes = orjson.Fragment(job.model_dump_json(include={"version", *fields}))
        row = await self._database.call("registry_update_job", job_id=job.id, changes=changes, **self._lease())
        return None if row is None else ServiceJob(**row)

    async def renew(self, job_ids: Sequence[str]) -> frozenset[str]:
        """Keep these jobs; answers those that are still this replica's."""
        return frozenset(await self._database.call("registry_renew_jobs", job_ids=list(job_ids), **self._lease()))

    async def claim(self) -> list[ServiceJob]:
        """Take over jobs whose owner is gone."""
        rows = await self._database.call("registry_claim_jobs", most=_CLAIMED_AT_ONCE, **self._lease())
        return [ServiceJob(**row) for row in rows]

    async def release(self) -> int:
        """Let others take over at once what is this replica's; answers how many those are."""
        return int(await self._database.call("registry_release_jobs", caller=self.owner))

    async def cancel(self, job_id: str, reason: str) -> ServiceJob | None:
        """End a job whose training was not sent; answers the job as it is then, or None when there is none."""
        row = await self._database.call("registry_cancel_job", job_id=job_id, reason=reason)
        return None if row is None else ServiceJob(**row)

    async def by_id(self, job_ids: Sequence[str]) -> list[ServiceJob]:
        """These jobs, as far as there are any."""
        rows = await self._database.call("registry_jobs_by_id", job_ids=list(job_ids))
        return [ServiceJob(**row) for row in rows]

    async def page(
        self, model_types: Sequence[str] | None, phases: Sequence[JobPhase] | None, limit: int, offset: int
    ) -> JobPage:
        """A page of the jobs of these model types, in small letters, and phases; None: of any."""
        page = await self._database.call(
            "registry_jobs",
            model_types=None if model_types is None else list(model_types),
            phases=None if phases is None else list(phases),
            page_size=limit,
            page_offset=offset,
        )
        return JobPage([ServiceJob(**row) for row in page["items"]], page["count"])

    def _lease(self) -> dict[str, Any]:
        return {"caller": self.owner, "lease_seconds": self.lease_seconds}


def nothing_was_sent(error: StorageUnavailable) -> bool:
    """Whether it is certain that the database did not get a call: no connection to it could be opened."""
    return isinstance(error.__cause__, httpx2.ConnectError | httpx2.ConnectTimeout | ConnectionRefusedError)
