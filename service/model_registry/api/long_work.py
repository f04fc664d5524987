"""Work that lasts, done for a caller: in a pool of its kind, for as long as the caller is there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from fastapi import Request
from starlette.requests import ClientDisconnect

from model_registry.errors import TooManyRequests
from model_registry.work_pool import WorkPool

T = TypeVar("T")

_BODIES_BYTES = 33 * 2**20
"""One body of the largest size that a route takes, or several smaller ones."""
_QUEUE = 8
_PARSING_QUEUE = 32
_INLINE_ROWS = 500
"""Rows up to which a response is made on the event loop, in a few milliseconds."""


class Room:
    """A budget of bytes for large bodies held at once: parsed, they take several times as much."""

    def __init__(self, size: int) -> None:
        self.left = size

    def take(self, size: int) -> None:
        """Take room for what has arrived. Errors: TooManyRequests when there is none."""
        if size > self.left:
            raise TooManyRequests("The service is busy with other large requests. Try again in a few seconds.")
        self.left -= size

    def give_back(self, size: int) -> None:
        """The body is gone."""
        self.left += size


class LongWork:
    """The pools of one service. Each kind has its own, so that a flood of one holds up no other.

    One thread each: Python computes in one at a time, and every thread that does makes the event loop wait.
    """

    def __init__(self, seconds: float) -> None:
        self.bodies = Room(_BODIES_BYTES)
        self.parsing = WorkPool("large bodies", threads=1, queue=_PARSING_QUEUE, seconds=seconds)
        """Bodies into JSON, and answers of long work out of it: short jobs."""
        self.imports = WorkPool("imports", threads=1, queue=_QUEUE, seconds=seconds)
        self.history = WorkPool("history and exports", threads=1, queue=_QUEUE, seconds=seconds)
        """Anybody may ask for these where reads need no key."""
        self.lists = WorkPool("large lists", threads=1, queue=_PARSING_QUEUE, seconds=seconds)
        """Answers of many rows."""
        self.guard = WorkPool("large writes", threads=1, queue=_QUEUE, seconds=seconds)
        """Checks of writes of many rows."""

    async def listed(self, request: Request, count: int, make: Callable[[], T]) -> T:
        """Make a response of this number of rows, off the loop if there are many.

        Errors: TooManyRequests, DeadlineExceeded, ClientDisconnect.
        """
        return make() if count <= _INLINE_ROWS else await while_there(request, self.lists.run(make))

    def close(self) -> None:
        """Stop what is going on: the service is about to stop."""
        for pool in (self.parsing, self.imports, self.history, self.lists, self.guard):
            pool.close()


async def while_there(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Do this for as long as the caller is there; then it is cancelled, and with it what it does in a pool.

    Errors: those of the work; ClientDisconnect, whose answer nobody reads.
    """
    working = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(caller_gone(request))
    try:
        await asyncio.wait({working, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientDisconnect
        return working.result()
    finally:
        gone.cancel()
        working.cancel()


async def caller_gone(request: Request) -> None:
    """Return when the caller has hung up."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
