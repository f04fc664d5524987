"""The workers that keep the snapshot current, on disk and in bounds: one loop each, started and stopped by `app.py`."""

from __future__ import annotations

import asyncio
import contextlib
import time

import structlog

from model_registry.errors import RegistryError
from model_registry.store.history import History
from model_registry.store.registry import Registry
from model_registry.store.snapshot_file import SnapshotFile

log = structlog.get_logger(__name__)

_START_SECONDS = 5.0
"""How long a start waits for the database where there is a snapshot on disk to start from."""
_SAVE_REST_SECONDS = 2.0
"""Between two writes of the file. What a crash loses of it the database still has."""
_SAVE_REST_SHARE = 9
"""Times what a write took: those of a large registry that changes all the time take a tenth of a processor at most."""
_SAVE_RETRY_SECONDS = 10.0
"""After a write that failed, unless something changes before."""
TRIM_REST_SECONDS = 3600.0
"""Between two trims. A log that is an hour longer than it need be harms nobody."""


async def load_first_snapshot(registry: Registry, file: SnapshotFile) -> None:
    """Load the database's snapshot, or the one on disk while the database is away; with neither, nothing is loaded."""
    saved = file.load()
    if saved is not None:
        registry.restore(saved)
    try:
        await registry.refresh_within(_START_SECONDS)
    except RegistryError as error:
        start = "the last snapshot" if registry.loaded else "nothing: no snapshot was saved here"
        log.warning("the database does not answer at start", starting_from=start, error=error.message)


class Refresher:
    """Looks at the database every so often, and at once when woken."""

    def __init__(self, registry: Registry, poll_seconds: float) -> None:
        self._registry = registry
        self._poll_seconds = poll_seconds
        self._wake = asyncio.Event()
        registry.behind.observe(self.wake)

    def wake(self) -> None:
        """Look now."""
        self._wake.set()

    async def run(self) -> None:
        """Look at the database every so often, and whenever woken."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._poll_seconds):
                    await self._wake.wait()
            self._wake.clear()
            try:
                await self._registry.refresh()
            except RegistryError as error:
                log.debug("look failed", error=error.message)  # the registry has logged the first of them


class SnapshotSaver:
    """Keeps the newest snapshot on disk, off the event loop and not more often than it needs to."""

    def __init__(self, registry: Registry, file: SnapshotFile) -> None:
        self._registry = registry
        self._file = file
        self._saved: tuple[str, int, int] | None = None
        self._changed = asyncio.Event()
        registry.stepped.observe(lambda _before, _after, _changes: self._changed.set())

    async def save_last(self) -> None:
        """Save the newest snapshot, also when nothing changed: when it was last confirmed is worth keeping."""
        self._saved = None
        await self._save()

    async def run(self) -> None:
        """Save now, and after every change."""
        while True:
            self._changed.clear()
            began = time.monotonic()
            saved = await self._save()
            await asyncio.sleep(max(_SAVE_REST_SECONDS, _SAVE_REST_SHARE * (time.monotonic() - began)))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(None if saved else _SAVE_RETRY_SECONDS):
                    await self._changed.wait()

    async def _save(self) -> bool:
        """Save what is newer than what was saved last; False when that failed and is to be tried again."""
        if not self._registry.loaded:
            return True
        saved = self._registry.saved()
        newest = saved.snapshot.registry_id, saved.snapshot.revision, saved.snapshot.entry_id
        if newest == self._saved:
            return True
        if not await asyncio.to_thread(self._file.save, saved):
            return False
        self._saved = newest
        return True


async def trim_change_log(history: History, keep_days: float) -> None:
    """Trim now, and every hour. Every replica may do it: what is gone already is left alone."""
    while True:
        try:
            trimmed = await history.trim(keep_days)
            if trimmed["removed"]:
                held = {"kept_for_pinned_gateways": trimmed["held_by"]} if trimmed["held_by"] else {}
                log.info("change log trimmed", removed=trimmed["removed"], history_from=trimmed["oldest"], **held)
        except RegistryError as error:
            log.warning("the change log could not be trimmed", error=error.message)
        await asyncio.sleep(TRIM_REST_SECONDS)
