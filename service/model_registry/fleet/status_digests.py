"""Remembers the last status message of each node that this replica recorded, by digest."""

from __future__ import annotations

import time
from collections.abc import Callable

from model_registry.entities.node import StatusMessage

GOOD_SECONDS = 60.0
"""After this long a message is recorded whole again, even if unchanged: somebody may have edited rows in SQL."""
_MOST = 100_000


class StatusDigests:
    """Digests by node. A wrong one only costs sending a message twice: the database decides."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: dict[str, tuple[str, float]] = {}

    def digest_of(self, node_id: str) -> str | None:
        """Return the digest of the node's last message, unless it has expired."""
        digest, good_until = self._known.get(node_id, ("", 0.0))
        return digest if digest and self._clock() < good_until else None

    def note(self, message: StatusMessage) -> None:
        """Remember a message that was recorded whole."""
        if len(self._known) >= _MOST:
            self._known.clear()
        self._known[message.node_id] = (message.digest, self._clock() + GOOD_SECONDS)

    def forget(self, node_id: str) -> None:
        """Forget a digest that the database contradicts."""
        self._known.pop(node_id, None)
