"""What moves with every heartbeat: no snapshot follows it, so the database is asked when somebody wants to see it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from model_registry.errors import StorageError
from model_registry.store.client import Database

GOOD_SECONDS = 1.0
"""However many ask, the database is asked once in so long."""


@dataclass(frozen=True, slots=True)
class Pulse:
    """How the fleet is, a moment ago."""

    nodes: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By node: last_seen_at, vram_used_mb, vram_free_mb."""
    fleet: dict[str, Any] = field(default_factory=dict)
    """`fleet_watch`: since when all nodes are heard, and whether most were lost at once."""


class Heartbeats:
    """The newest pulse, at most a second old while the database answers."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._clock = clock
        self._asking = asyncio.Lock()
        self._pulse = Pulse()
        self._good_until = 0.0

    async def now(self) -> Pulse:
        """The pulse; with the database away, the last one there was. Takes as long as `Database.call` at most."""
        async with self._asking:
            if self._clock() >= self._good_until:
                try:
                    answer = await self._database.call("registry_heartbeats")
                except StorageError:
                    pass  # the answer says how old it is: last_seen_at, and X-Registry-Stale
                else:
                    self._pulse = Pulse(answer["nodes"], answer["fleet"])
                self._good_until = self._clock() + GOOD_SECONDS
            return self._pulse
