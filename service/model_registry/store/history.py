"""The configuration as it was: read from the change log, brought back, and forgotten when it is old.

What differs between two states, and what turns one into the other, is `snapshot/difference.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import structlog

from model_registry.entities.gateway import DEFAULT_GATEWAY
from model_registry.errors import Conflict, PreconditionFailed, RevisionGone, RevisionNotFound
from model_registry.snapshot.difference import TABLES, RowChange, difference, restoring, sharing
from model_registry.snapshot.snapshot import Snapshot
from model_registry.store.client import Database
from model_registry.store.registry import Offload, Registry

log = structlog.get_logger(__name__)

ATTEMPTS = 5
"""How often a rollback is worked out anew because somebody else wrote meanwhile."""


@dataclass(frozen=True, slots=True)
class Rollback:
    """The result of a rollback, or of its dry run."""

    restored: int
    """The revision whose configuration it is."""
    revision: int
    """The registry's revision afterwards."""
    changes: Sequence[RowChange]


@dataclass(frozen=True, slots=True)
class Author:
    """Author and time of a write to a row."""

    revision: int
    at: str
    actor: str
    operation: str


def differs(one: Snapshot, other: Snapshot) -> bool:
    """Whether the configuration may differ between two steps of one registry: a table that did not change is kept."""
    return any(one.tables[table] is not other.tables[table] for table in TABLES)


class History:
    """Earlier revisions of the registry, and the pages of its logs.

    Everything here asks the database: with it away, every method fails with StorageUnavailable. Other errors: those
    of `Database.call`.
    """

    def __init__(
        self,
        database: Database,
        registry: Registry,
        *,
        log_database: Database | None = None,
        questions: Offload = asyncio.to_thread,
        edits: Offload = asyncio.to_thread,
    ) -> None:
        """Questions about the log go to `log_database` and its threads, so that no number of them holds up an edit."""
        self._database = database
        self._log_database = log_database or database
        self._questions = questions
        self._edits = edits
        self._registry = registry

    async def at(self, revision: int) -> Snapshot:
        """The configuration at a revision; its `revision` is that of the write the asked one fell into.

        Deployments, nodes and keys are not in it. Errors: RevisionNotFound, RevisionGone.
        """
        return await self._at(revision, self._log_database, self._questions)

    async def _at(self, revision: int, database: Database, offload: Offload) -> Snapshot:
        document = await database.call("registry_snapshot_at", asked=revision)
        oldest, newest = document["oldest"], document["newest"]
        if document["revision"] is None and revision < oldest:
            message = f"Revision {revision} is no longer available: the oldest one kept is {oldest}."
            raise RevisionGone(message, oldest=oldest, newest=newest)
        if document["revision"] is None:
            message = f"There is no revision {revision} yet: the newest is {newest}, the oldest kept is {oldest}."
            raise RevisionNotFound(message, oldest=oldest, newest=newest)
        current = self._registry.snapshot if self._registry.loaded else Snapshot.empty()
        read: Snapshot = await offload(_read, document, current)
        return read

    async def changes(self, *, after: int, table: str | None, row_id: str | None, limit: int) -> dict[str, Any]:
        """A page of the change log, oldest first."""
        page: dict[str, Any] = await self._log_database.call(
            "registry_change_page", after_revision=after, only_table=table, only_row=row_id, page_size=limit
        )
        return page

    async def rejected_events(self, *, limit: int, offset: int) -> dict[str, Any]:
        """A page of the messages of nodes that any replica rejected, newest first, with the number of all."""
        page: dict[str, Any] = await self._log_database.call(
            "registry_rejected_events", page_size=limit, page_offset=offset
        )
        return page

    async def writes(self, *, before: int | None, limit: int) -> dict[str, Any]:
        """A page of the writes that touched the configuration, newest first."""
        page: dict[str, Any] = await self._log_database.call("registry_writes", before_revision=before, page_size=limit)
        return page

    async def authors(self, after: int, to: int) -> dict[tuple[str, str], list[Author]]:
        """Who wrote which rows (table, id) after a revision and up to another, oldest first."""
        authors_of: dict[tuple[str, str], list[Author]] = {}
        for entry in await self._log_database.call("registry_authors", after_revision=after, to_revision=to):
            author = Author(entry["revision"], entry["at"], entry["actor"], entry["operation"])
            authors_of.setdefault((entry["table"], entry["row_id"]), []).append(author)
        return authors_of

    async def rollback(self, revision: int, *, actor: str, dry_run: bool = False) -> Rollback:
        """Bring the configuration back to a revision, as a new one, in one transaction; deployments, nodes, keys stay.

        So do gateways: which revision each has is another decision. One that is gone and has content comes back.

        An ordinary write: what the gateway would refuse today is refused, also when it was let through then. Worked
        out anew when somebody else writes meanwhile, so the end is that revision exactly.
        Errors: those of `at` and `Registry.write`; Conflict when others write all the time.
        """
        then = await self._at(revision, self._database, self._edits)
        for _ in range(ATTEMPTS):
            await self._registry.refresh()
            now = self._registry.snapshot
            target = _with_gateways_of(now, then)
            changes = await self._edits(difference, now, target)
            if dry_run or not changes:
                return Rollback(then.revision, now.revision, changes)
            operations = await self._edits(restoring, now, target)
            if differs(self._registry.snapshot, now):
                continue
            try:
                written = await self._registry.write(operations, actor=actor, expect_unchanged=True)
            except PreconditionFailed:
                log.info("somebody else wrote during a rollback; working it out anew", revision=revision)
                continue
            return Rollback(then.revision, written, changes)
        message = f"Concurrent changes prevented the rollback to revision {revision}. Try again."
        raise Conflict(message)

    async def trim(self, keep_days: float) -> dict[str, Any]:
        """Delete changes older than this number of days, but not the state they led to. Idempotent.

        Answers `removed`, the number of entries, `oldest`, from where on there is history, and `held_by`, the names of
        the gateways whose pinned revision keeps it from being newer.
        """
        trimmed: dict[str, Any] = await self._database.call("registry_trim", keep_days=keep_days)
        return trimmed


def _with_gateways_of(now: Snapshot, then: Snapshot) -> Snapshot:
    """Return the earlier state with the gateways of today, and with those whose content it has."""
    names = {gateway.name for gateway in now.gateways}
    content = {row.gateway for table in (then.functions, then.sections, then.files) for row in table}
    back = [(row.id, row) for row in then.gateways if row.name in content - names]
    gateways = now.with_rows({"gateways": back}).tables["gateways"] if back else now.tables["gateways"]
    return replace(then, tables=then.tables.set("gateways", gateways))


def _read(document: dict[str, Any], current: Snapshot) -> Snapshot:
    """Read an earlier state. The first gateway was there before its table was logged: as it is, until an entry says."""
    then = Snapshot.from_document(document)
    first = [row for row in current.gateways if row.name == DEFAULT_GATEWAY]
    if first and not then.gateways.where("name", DEFAULT_GATEWAY):
        then = then.with_rows({"gateways": [(row.id, row) for row in first]})
    return sharing(then, current)
