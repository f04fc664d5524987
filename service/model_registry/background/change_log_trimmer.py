"""Forgets old changes, once an hour. Every replica may do it: what is gone already is left alone."""

from __future__ import annotations

import asyncio

import structlog

from model_registry.errors import RegistryError
from model_registry.store.history import History

log = structlog.get_logger(__name__)

REST_SECONDS = 3600.0
"""Between two trims. A log that is an hour longer than it need be harms nobody."""


class ChangeLogTrimmer:
    """One loop around `History.trim`."""

    def __init__(self, history: History, keep_days: float) -> None:
        self._history = history
        self._keep_days = keep_days

    async def run(self) -> None:
        """Trim now, and every hour."""
        while True:
            try:
                trimmed = await self._history.trim(self._keep_days)
                if trimmed["removed"]:
                    log.info("change log trimmed", removed=trimmed["removed"], history_from=trimmed["oldest"])
            except RegistryError as error:
                log.warning("the change log could not be trimmed", error=error.message)
            await asyncio.sleep(REST_SECONDS)
