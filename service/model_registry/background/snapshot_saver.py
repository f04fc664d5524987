"""Keeps the newest snapshot on disk, off the event loop and not more often than it needs to."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from model_registry.store.registry import Registry
from model_registry.store.snapshot_file import SnapshotFile

REST_SECONDS = 2.0
"""Between two writes of the file. What a crash loses of it the database still has."""
_RETRY_SECONDS = 10.0
"""After a write that failed, unless something changes before."""


class SnapshotSaver:
    """One loop around `SnapshotFile.save`."""

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
            saved = await self._save()
            await asyncio.sleep(REST_SECONDS)
            with suppress(TimeoutError):
                async with asyncio.timeout(None if saved else _RETRY_SECONDS):
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
