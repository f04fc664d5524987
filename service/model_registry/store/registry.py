"""The registry as the service holds it: one snapshot, brought forward by reads, writes and events.

Everything here runs on one event loop, and a snapshot is swapped in one step, so there is nothing to lock but the
order of looks at the database.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from operator import itemgetter
from typing import Any

import structlog

from model_registry.catalog.secret_check import refuse_secrets
from model_registry.entities.change import Change, Operation
from model_registry.entities.json_types import Json
from model_registry.entities.secret_text import mask_secrets
from model_registry.errors import RegistryError, StorageError, StorageMisconfigured, StorageUnavailable
from model_registry.snapshot.snapshot import Snapshot
from model_registry.store.client import Database
from model_registry.store.fleet_records import FleetRecords
from model_registry.store.instance_records import InstanceRecords
from model_registry.store.json_bytes import Argument
from model_registry.store.signal import Signal
from model_registry.store.snapshot_file import SavedSnapshot

log = structlog.get_logger(__name__)

Check = Callable[[Snapshot, Sequence[Operation]], None]
"""Raises what speaks against a write, before it is sent."""

Offload = Callable[..., Awaitable[Any]]
"""Does something in another thread."""

_CHANGE = itemgetter("revision", "at", "actor", "origin", "table", "row_id", "operation", "row", "entry_id")
_NOTHING_NEWER = {"known_revision": 2**62}
"""Instead of `Snapshot.known_revision`: a revision that no registry reaches, so that no changes are answered."""
_MANY_OPERATIONS = 200
"""Operations whose check would keep the event loop for longer than others should wait."""
_MOST_LOOKERS = 64
"""Of those who wait for a database that does not answer; who comes then is not kept waiting."""
_UNREADABLE = (KeyError, TypeError, ValueError)
_OTHER_VERSION = (
    "The database holds what this version of the service cannot read. Run `model-registry db migrate`, or upgrade it."
)


class Registry(FleetRecords, InstanceRecords):
    """The current snapshot, and the only way to change it."""

    def __init__(  # noqa: PLR0913 (its parts and bounds, by name)
        self,
        database: Database,
        *,
        origin: str,
        check: Check = lambda _before, _operations: None,
        most_deployments: int | None = None,
        most_nodes: int | None = None,
        offload: Offload = asyncio.to_thread,
    ) -> None:
        super().__init__(most_deployments=most_deployments, most_nodes=most_nodes)
        self._database = database
        self._offload = offload
        self.origin = origin
        """The name of this instance, as the change log has it."""
        self._check = check
        self._snapshot = Snapshot.empty()
        self._current_at: float | None = None
        self.last_error: str | None = "not loaded yet"
        """Why the last look at the database failed; None when it did not."""
        self._looking = asyncio.Lock()
        self._looks_begun = 0
        self._lookers: set[asyncio.Future[None]] = set()
        """Looks that somebody began to wait for: the loop keeps no reference to them."""
        self._last_look: tuple[int, RegistryError | None] = (0, None)
        self.stepped: Signal[Snapshot, Snapshot, Sequence[Change]] = Signal()
        """Every step forward: before, after, and what happened in between; nothing when all was loaded anew."""
        self.written: Signal[Sequence[Operation], str] = Signal()
        """Every write and its outcome: done, refused, failed."""
        self.behind: Signal[[]] = Signal()
        """Something was written that the snapshot has not: time to refresh."""
        self.loads = 0
        """Full loads so far. After each, revisions may mean something else: another database, or a backup."""
        self.load_seconds: float | None = None
        """What the last full load took."""

    @property
    def snapshot(self) -> Snapshot:
        """The newest state this service knows. Errors: StorageUnavailable when there never was one."""
        if self._current_at is None:
            message = (
                f"The registry has no data yet: the database has not answered since it started ({self.last_error})."
            )
            raise StorageUnavailable(message)
        return self._snapshot

    @property
    def loaded(self) -> bool:
        """Whether there is anything to answer from."""
        return self._current_at is not None

    def stale_seconds(self) -> float | None:
        """For how long the database has not confirmed the snapshot; None while it answers."""
        return self.age_seconds() if self.last_error is not None and self.loaded else None

    def age_seconds(self) -> float:
        """Since when the snapshot has not been confirmed, also while all is well."""
        return 0.0 if self._current_at is None else max(0.0, time.time() - self._current_at)

    def saved(self) -> SavedSnapshot:
        """What `SnapshotFile` keeps."""
        return SavedSnapshot(self.snapshot, self._current_at or 0.0)

    def restore(self, saved: SavedSnapshot) -> None:
        """Start from what was on disk, until the database answers."""
        if self._current_at is None:
            self._snapshot, self._current_at = saved.snapshot, saved.current_at

    async def refresh(self) -> None:
        """Look at the database, and return once everything committed before this call is in the snapshot.

        Callers that wait at the same time share one look. Errors: those of `Database.call`.
        """
        begun = self._looks_begun
        async with self._looking:
            last, failure = self._last_look
            if last > begun:  # a look that began after this call has just ended
                if failure is not None:
                    raise failure
                return
            self._looks_begun = number = self._looks_begun + 1
            try:
                await self._look()
            except RegistryError as error:
                self._last_look = number, error
                self._failed(error)
                raise
            self._last_look = number, None  # one that is cancelled has not ended: who waits looks again

    async def refresh_within(self, seconds: float) -> None:
        """As `refresh`, but wait no longer than this: the look goes on, and the snapshot counts as stale meanwhile.

        With nothing loaded there is nothing else to answer from, so then it waits. Errors: those of `Database.call`.
        """
        if self.last_error is not None and self.loaded and len(self._lookers) >= _MOST_LOOKERS:
            raise StorageUnavailable(self.last_error)
        looking = asyncio.ensure_future(self.refresh())
        self._lookers.add(looking)
        looking.add_done_callback(self._looked)
        await asyncio.wait((looking,), timeout=seconds if self.loaded else None)
        if looking.done():
            looking.result()
        else:
            self._failed(StorageUnavailable(f"The database has not answered within {seconds:g} s."))

    def _looked(self, looking: asyncio.Future[None]) -> None:
        self._lookers.discard(looking)
        if not looking.cancelled():
            looking.exception()  # who waited has it; who does not wait any more need not know

    async def write(self, operations: Sequence[Operation], *, actor: str, expect_unchanged: bool = False) -> int:
        """Do all operations, or none; answer the revision that holds them.

        One round trip: the answer carries every change this service has not seen, its own among them.
        `expect_unchanged` is for operations worked out from the whole snapshot: PreconditionFailed when the
        configuration has changed since. Errors: SecretInText; what the check says; those of `Database.call`.
        """
        before = self.snapshot
        if not operations:
            return before.revision
        wire: list[Json] = [operation.wire() for operation in operations]
        outcome = "refused"
        try:
            if len(operations) > _MANY_OPERATIONS:
                await self._offload(self._refuse_bad, before, operations)  # takes seconds for thousands
            else:
                self._refuse_bad(before, operations)
            function = "registry_write_alone" if expect_unchanged else "registry_write"
            answer = await self._send(function, before, actor, operations=wire)
            outcome = "done"
        except StorageError:
            outcome = "failed"
            raise
        finally:
            self.written.send(operations, outcome)
        return int(answer["revision"])

    def _refuse_bad(self, before: Snapshot, operations: Sequence[Operation]) -> None:
        refuse_secrets(before, operations)
        self._check(before, operations)

    async def _send(self, function: str, known: Snapshot | None, actor: str, **arguments: Argument) -> dict[str, Any]:
        """Call a function that writes, and take in what it answers; `known` None: it shall answer no changes."""
        loads = self.loads
        where = known.known_revision() if known else _NOTHING_NEWER
        try:
            answer: dict[str, Any] = await self._database.call(
                function, **arguments, **where, actor=mask_secrets(actor), origin=self.origin
            )
        except StorageError as error:
            if isinstance(error, StorageUnavailable | StorageMisconfigured):
                self._failed(error)  # any other is about this one request, not the database
            raise
        if known is None:
            self.behind.send()
        elif not self._advance(answer, known, loads):
            await self.refresh()
        return answer

    async def _look(self) -> None:
        known = self._snapshot
        if not known.has_identity:
            await self._load()
            return
        loads = self.loads
        answer = await self._database.call("registry_changes_since", **known.known_revision())
        if not self._advance(answer, known, loads):
            log.warning("the database cannot bring the snapshot forward; loading anew", revision=known.revision)
            await self._load()

    async def _load(self) -> None:
        started = time.perf_counter()
        document = await self._database.call("registry_snapshot")
        # Off the loop: 50,000 models take about half a second to read.
        try:
            loaded = await asyncio.to_thread(Snapshot.from_document, document)
        except _UNREADABLE as error:
            raise StorageMisconfigured(_OTHER_VERSION, storage={"message": repr(error)}) from error
        self.load_seconds = time.perf_counter() - started
        before, self._snapshot = self._snapshot, loaded
        self.loads += 1
        self._confirmed()
        log.info(
            "snapshot loaded", revision=loaded.revision, models=len(loaded.models), seconds=round(self.load_seconds, 3)
        )
        self.stepped.send(before, loaded, ())

    def _advance(self, answer: dict[str, Any], known: Snapshot, loads: int) -> bool:
        """Take in the answer to a question that was asked with the snapshot `known`; False when it does not fit.

        Answers may arrive out of order: each carries all that its question did not know. None fits that was asked for
        before everything was loaded anew.
        """
        before = self._snapshot
        try:
            if loads != self.loads or not before.goes_on(answer, known):
                return False
            changes = [Change._make(_CHANGE(c)) for c in answer["changes"] if c["revision"] > before.revision]
            self._snapshot = before.advanced(answer["revision"], changes)
        except _UNREADABLE as error:
            raise StorageMisconfigured(_OTHER_VERSION, storage={"message": repr(error)}) from error
        self._confirmed()
        if changes:
            self.stepped.send(before, self._snapshot, changes)
        return True

    def _confirmed(self) -> None:
        if self.last_error is not None and self._current_at is not None:
            log.info("the database answers again")
        self.last_error = None
        self._current_at = time.time()

    def _failed(self, error: RegistryError) -> None:
        if self.last_error is None:
            log.warning("the database does not answer", error=error.message, storage=error.data.get("storage"))
        self.last_error = error.message
