"""A job in the memory of the replica that works on it: its newest state, and what of it is not recorded yet."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime

from model_registry.entities.service_job import ServiceJob

_LONGEST = 2000
"""Characters of a message: what a service says of its failure may be as long as it likes."""


class JobLost(Exception):
    """The job is not this replica's any more: nothing may be sent for it."""


@dataclass(eq=False, slots=True)
class HeldJob:
    """A job that this replica works on."""

    job: ServiceJob
    durable: bool = False
    """Whether it is recorded: then it survives this process."""
    certain: bool = True
    """While it is not durable: whether it is certain that no other replica can know of it."""
    lost: bool = False
    """Whether another replica, or a person, has taken it away."""
    unrecorded: set[str] = field(default_factory=set)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set at the next change; then there is a new one."""
    recording: asyncio.Lock = field(default_factory=asyncio.Lock)
    task: asyncio.Task[None] | None = None

    def change(self, **fields: object) -> None:
        """Change the job here; it is recorded soon, or by `JobBook.before_sending`."""
        self.job = self.job.model_copy(update={**fields, "version": self.job.version + 1})
        if self.job.ended and self.job.finished_at is None:
            self.job = self.job.model_copy(update={"finished_at": datetime.now(UTC).isoformat()})
        self.unrecorded |= fields.keys()
        self.notify()

    def explain(self, detail: str) -> None:
        """Say what the job waits for. What has been explained already is no change."""
        shown = storable(detail)
        if self.job.detail != shown:
            self.change(detail=shown)

    def recorded(self, stored: ServiceJob) -> None:
        """Take over what only the database knows: its times, and its count of the changes."""
        known = {"created_at": stored.created_at, "finished_at": stored.finished_at}
        self.job = self.job.model_copy(update={**known, "version": max(stored.version, self.job.version)})

    def lose(self, stored: ServiceJob | None = None) -> None:
        """Stop: the job is another's, or has ended as stored."""
        self.lost = True
        if stored is not None:
            self.job = stored
        self.notify()

    def notify(self) -> None:
        """Wake those who wait for a change."""
        self.changed.set()
        self.changed = asyncio.Event()


def storable(text: str) -> str:
    """A text as the database can hold it, and people can read it."""
    plain = text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()
    return plain if len(plain) <= _LONGEST else f"{plain[:_LONGEST]}..."
