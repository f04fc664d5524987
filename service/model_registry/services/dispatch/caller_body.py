"""The body of a caller as it comes: its beginning is kept, so that a request that failed early can be sent again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
"""ASGI's."""

KEPT_BYTES = 64 * 2**10
"""A request of whose body more has come, beside what was read at first, is not sent a second time."""


class CallerLeft(Exception):
    """The caller hung up before the request was there."""


class CallerBody:
    """A body that is too large to be held, or whose end is not known. One reader at a time.

    Args:
        receive: The application's, from which `begun` has been read.
        begun: What has been read of it already.
        length: Its length in bytes; None if the caller did not say.
    """

    def __init__(self, receive: Receive, begun: bytes, length: int | None) -> None:
        self.begun = begun
        self.length = length
        self._receive = receive
        self._kept: list[bytes] | None = []
        self._kept_bytes = 0
        self._at = 0
        self._ended = False
        self.waits = False
        """Whether the caller is being waited for: what takes long then is not the upstream's fault."""

    @property
    def replayable(self) -> bool:
        """Whether all that was read is kept."""
        return self._kept is not None

    def rewind(self) -> None:
        """Begin again, behind `begun`. Only while `replayable`."""
        self._at = 0

    async def read(self) -> bytes:
        """The next piece behind `begun`; empty at the end. Errors: CallerLeft. The connection has a time limit."""
        kept = self._kept
        if kept is not None and self._at < len(kept):
            self._at += 1
            return kept[self._at - 1]
        while not self._ended:
            self.waits = True
            try:
                message = await self._receive()
            finally:
                self.waits = False
            if message["type"] != "http.request":
                raise CallerLeft
            self._ended = not message.get("more_body", False)
            if data := message.get("body", b""):
                self._keep(data)
                return bytes(data)
        return b""

    def _keep(self, data: bytes) -> None:
        if self._kept is None:
            return
        self._kept_bytes += len(data)
        if self._kept_bytes > KEPT_BYTES:
            self._kept = None
        else:
            self._kept.append(data)
            self._at += 1


async def read_up_to(
    receive: Receive, most: int, hold: Callable[[int], None], begun: bytes = b""
) -> tuple[bytes, bool]:
    """Read on behind `begun` until the body is whole or longer than `most`. Returns it, and whether that is all.

    `hold` is called with the size so far, and may refuse it. Errors: CallerLeft.
    """
    if not begun:
        message = await receive()
        if message["type"] != "http.request":
            raise CallerLeft
        begun = bytes(message.get("body", b""))
        if not message.get("more_body", False):
            return begun, True
    parts, size = [begun], len(begun)
    while size <= most:
        message = await receive()
        if message["type"] != "http.request":
            raise CallerLeft
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        hold(size)
        if not message.get("more_body", False):
            return b"".join(parts), True
    return b"".join(parts), False
