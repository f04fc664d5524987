"""Waiting for a condition, instead of sleeping and hoping. How long a wait may take is decided here for all."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

PATIENCE = float(os.environ.get("TEST_PATIENCE", "1"))
"""Every bound is multiplied by it: TEST_PATIENCE=3 on a machine on which even these bounds are short."""
LONGEST = 60.0 * PATIENCE
"""Seconds after which what has not come will not come. A bound against hanging, twenty times what anything takes on a
quiet machine; never a measure of speed, which is for benchmarks/."""


async def until(look: Callable[[], Awaitable[T]], seconds: float = LONGEST) -> T:
    """Look until what is seen is true, and return it. Fails with what was seen last."""
    deadline = time.monotonic() + seconds
    while True:
        seen = await look()
        if seen:
            return seen
        if time.monotonic() > deadline:
            raise AssertionError(f"still not so after {seconds} s: {seen!r}")
        await asyncio.sleep(0.01)
