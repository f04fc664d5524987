"""What nodes said in their last status messages, as far as this replica recorded it: told by digests."""

from __future__ import annotations

import time
from collections.abc import Callable

from model_registry.entities.status_message import StatusMessage

GOOD_SECONDS = 60.0
"""After so long a message is recorded whole again, whatever the digest says: somebody may have written SQL."""
_MOST = 100_000


class StatusDigests:
    """Digests by node. Being wrong costs a message sent twice: the database has the last word."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: dict[str, tuple[str, float]] = {}

    def digest_of(self, node_id: str) -> str | None:
        """The digest of the node's last message, while it is good."""
        digest, good_until = self._known.get(node_id, ("", 0.0))
        return digest if digest and self._clock() < good_until else None

    def note(self, message: StatusMessage) -> None:
        """A whole message is recorded."""
        if len(self._known) >= _MOST:
            self._known.clear()
        self._known[message.node_id] = (message.digest, self._clock() + GOOD_SECONDS)

    def forget(self, node_id: str) -> None:
        """The database knows better."""
        self._known.pop(node_id, None)
