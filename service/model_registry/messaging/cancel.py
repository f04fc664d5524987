"""Cancels background tasks. Their work is in their own files."""

from __future__ import annotations

import asyncio
from typing import Any

_AGAIN_SECONDS = 0.5


async def cancel(task: asyncio.Task[Any] | None) -> None:
    """Cancel a task, and wait until it has ended.

    Cancels repeatedly: `asyncio.wait_for` of Python 3.11, which nats-py uses, swallows a cancellation that arrives
    together with the awaited result.
    """
    while task is not None and not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=_AGAIN_SECONDS)
