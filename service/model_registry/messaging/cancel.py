"""How a worker's task is ended. What a worker does is in its own file."""

from __future__ import annotations

import asyncio
from typing import Any

_AGAIN_SECONDS = 0.5


async def cancel(task: asyncio.Task[Any] | None) -> None:
    """Cancel a task, and return once it has ended.

    Cancelled again for as long as it goes on: `asyncio.wait_for` of Python 3.11, which nats-py waits with, swallows a
    cancellation that comes in the same moment as what was waited for.
    """
    while task is not None and not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=_AGAIN_SECONDS)
