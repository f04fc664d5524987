"""Work that lasts, done for a caller: in a pool of its kind, for as long as the caller is there."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from fastapi import Request
from starlette.requests import ClientDisconnect

from model_registry.work_pool import WorkPool

T = TypeVar("T")

_QUEUE = 8
_PARSING_QUEUE = 32


class LongWork:
    """The pools of one service. Each kind has its own, so that who floods one holds up nobody else's."""

    def __init__(self, seconds: float) -> None:
        self.parsing = WorkPool("large bodies", threads=1, queue=_PARSING_QUEUE, seconds=seconds)
        self.imports = WorkPool("imports", threads=2, queue=_QUEUE, seconds=seconds)
        self.history = WorkPool("history and exports", threads=2, queue=_QUEUE, seconds=seconds)
        """Anybody may ask for these where reads need no key."""
        self.guard = WorkPool("large writes", threads=1, queue=_QUEUE, seconds=seconds)
        """Checks of writes of many rows."""

    def close(self) -> None:
        """Stop what is going on: the service is about to stop."""
        for pool in (self.parsing, self.imports, self.history, self.guard):
            pool.close()


async def while_there(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Do this for as long as the caller is there; then it is cancelled, and with it what it does in a pool.

    Errors: those of the work; ClientDisconnect, whose answer nobody reads.
    """
    working = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait({working, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientDisconnect
        return working.result()
    finally:
        gone.cancel()
        working.cancel()


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
