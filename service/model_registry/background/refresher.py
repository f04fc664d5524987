"""Keeps the snapshot current: looks at the database every so often, and at once when told that something happened."""

from __future__ import annotations

import asyncio
import contextlib

import structlog

from model_registry.errors import RegistryError
from model_registry.store.registry import Registry

log = structlog.get_logger(__name__)


class Refresher:
    """One loop around `Registry.refresh`."""

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
