"""Those who wait for something to be so: thousands may, each costs a callback and a timer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Broadcast:
    """Woken together whenever something happened; then each looks whether it is what they wait for."""

    def __init__(self) -> None:
        self._news: asyncio.Future[None] | None = None
        self._released = False

    async def until(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Wait until this is so, for at most so many seconds."""
        deadline = asyncio.get_running_loop().time() + seconds
        while not (met := condition()) and not self._released:
            left = deadline - asyncio.get_running_loop().time()
            if left <= 0:
                break
            if self._news is None:
                self._news = asyncio.get_running_loop().create_future()
            await asyncio.wait((self._news,), timeout=left)
        return met

    def tell(self) -> None:
        """Something happened."""
        news, self._news = self._news, None
        if news is not None:
            news.set_result(None)

    def release(self) -> None:
        """Let everybody go, now and from now on: the service is about to stop."""
        self._released = True
        self.tell()
