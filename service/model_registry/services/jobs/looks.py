"""Looks at jobs that other replicas work on, for those who follow them here."""

from __future__ import annotations

import asyncio
from typing import Final

from model_registry.entities.service_job import ServiceJob
from model_registry.store.job_records import JobRecords

_LOOK_SECONDS: Final = 1.0


class JobLooks:
    """Looks at jobs of other replicas: one question a second, however many callers wait."""

    def __init__(self, records: JobRecords) -> None:
        self._records = records
        self._wanted: set[str] = set()
        self._looking: asyncio.Task[dict[str, ServiceJob]] | None = None

    async def at(self, job_id: str) -> ServiceJob | None:
        """The job within about a second; None when there is none. Errors: those of `Database.call`."""
        self._wanted.add(job_id)
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look(), name="looks at jobs")
        return (await asyncio.shield(self._looking)).get(job_id)

    async def _look(self) -> dict[str, ServiceJob]:
        await asyncio.sleep(_LOOK_SECONDS)
        wanted, self._wanted = sorted(self._wanted), set()
        return {job.id: job for job in await self._records.by_id(wanted)}
