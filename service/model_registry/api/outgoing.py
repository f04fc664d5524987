"""Large answers on their way to callers: how much of them is held, and who gives way when that is too much.

An answer leaves as fast as its caller reads it, and is held until then. Each question may have another one: without a
bound a few hundred connections that read nothing would hold gigabytes.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field

import structlog
from starlette.types import Message, Send

log = structlog.get_logger(__name__)

PIECE_BYTES = 256 * 2**10
"""What is sent at once. A smaller answer is not looked at here."""
_MOST_BYTES = 64 * 2**20
_UNREAD_SECONDS = 1.0


@dataclass(eq=False, slots=True)
class _Sending:
    """One answer on its way."""

    body: bytes
    read_on: float
    """When its caller last read on."""
    gives_way: asyncio.Event = field(default_factory=asyncio.Event)


class Outgoing:
    """The large answers of one service. Those that share their bytes are held once.

    Args:
        size: bytes of different answers. When there are more, those go whose callers read nothing.
        unread_seconds: for how long a caller may read nothing and yet is reading.
    """

    def __init__(self, size: int = _MOST_BYTES, unread_seconds: float = _UNREAD_SECONDS) -> None:
        self._size = size
        self._unread_seconds = unread_seconds
        self._sending: dict[_Sending, None] = {}
        """Who has read nothing for longest is first."""
        self._holders: Counter[int] = Counter()
        self.held = 0
        """Bytes of different answers."""

    async def send(self, send: Send, message: Message) -> None:
        """Send what a `http.response.body` holds, in pieces. Returns early, and uvicorn closes, if it gave way."""
        body = message["body"]
        sending = self._begin(body)
        try:
            for start in range(0, len(body), PIECE_BYTES):
                end = start + PIECE_BYTES
                more = end < len(body) or message.get("more_body", False)
                if not await self._read(sending, send, {**message, "body": body[start:end], "more_body": more}):
                    log.info("an answer that was not read gave way to others", size=len(body), sent=start)
                    return
        finally:
            self._end(sending)

    async def _read(self, sending: _Sending, send: Send, piece: Message) -> bool:
        """Send a piece once those before it have been read; False when others need the room."""
        passing = asyncio.ensure_future(send(piece))
        leaving = asyncio.ensure_future(sending.gives_way.wait())
        try:
            await asyncio.wait({passing, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if sending.gives_way.is_set():
                return False
            passing.result()
        finally:
            passing.cancel()
            leaving.cancel()
        sending.read_on = asyncio.get_running_loop().time()
        self._sending[sending] = self._sending.pop(sending)
        return True

    def _begin(self, body: bytes) -> _Sending:
        now = asyncio.get_running_loop().time()
        sending = _Sending(body, now)
        self._hold(body)
        for other in list(self._sending):
            if self.held <= self._size or now - other.read_on < self._unread_seconds:
                break
            other.gives_way.set()
            self._end(other)
        self._sending[sending] = None
        return sending

    def _hold(self, body: bytes) -> None:
        if not self._holders[id(body)]:
            self.held += len(body)
        self._holders[id(body)] += 1

    def _end(self, sending: _Sending) -> None:
        if sending not in self._sending:
            return
        del self._sending[sending]
        self._holders[id(sending.body)] -= 1
        if not self._holders[id(sending.body)]:
            del self._holders[id(sending.body)]
            self.held -= len(sending.body)
