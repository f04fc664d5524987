"""Waiting for a condition, instead of sleeping. The bound of all waits is defined here."""

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
"""Maximum seconds of a wait: a bound against hanging, twenty times longer than anything takes on a quiet machine. It
never measures speed, which benchmarks/ does."""


async def until(look: Callable[[], Awaitable[T]], seconds: float = LONGEST) -> T:
    """Call `look` until its result is true, and return that. Fails with the last result."""
    deadline = time.monotonic() + seconds
    while True:
        seen = await look()
        if seen:
            return seen
        if time.monotonic() > deadline:
            raise AssertionError(f"still not so after {seconds} s: {seen!r}")
        await asyncio.sleep(0.01)
