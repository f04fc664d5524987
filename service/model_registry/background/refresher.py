"""Keeps the snapshot current: looks at the database every so often, and at once when told that something happened."""

from __future__ import annotations

import asyncio
import contextlib

import structlog

from model_registry.errors import RegistryError
from model_registry.messaging.cancel import cancel
from model_registry.store.registry import Registry

log = structlog.get_logger(__name__)


class Refresher:
    """One loop around `Registry.refresh`."""

    def __init__(self, registry: Registry, poll_seconds: float) -> None:
        self._registry = registry
        self._poll_seconds = poll_seconds
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def wake(self) -> None:
        """Look now."""
        self._wake.set()

    def start(self) -> None:
        """Begin looking."""
        self._registry.on_news = self.wake
        self._task = asyncio.create_task(self._run(), name="refresher")

    async def stop(self) -> None:
        """Stop looking."""
        await cancel(self._task)

    async def _run(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._poll_seconds):
                    await self._wake.wait()
            self._wake.clear()
            try:
                await self._registry.refresh()
            except RegistryError as error:
                log.debug("look failed", error=error.message)  # the registry has logged the first of them
            except Exception:  # the loop must outlive a bug in it: without it every replica goes stale
                log.exception("look failed unexpectedly")
