"""Parts that are killed with SIGKILL at random, and started again."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Mapping
from typing import Protocol

from model_registry.errors import StackError

_LIVES = (2.0, 8.0)
"""Seconds between a start and the next death."""
_DEAD = (0.0, 2.5)


class Victim(Protocol):
    """What can die."""

    def kill(self) -> None:
        """With SIGKILL."""

    def start(self) -> None:
        """Return when it is ready. Errors: StackError, when it does not get there, as with what it needs dead."""


async def kill_at_random(victims: Mapping[str, Victim], seconds: float, chance: random.Random) -> Counter[str]:
    """Kill each again and again, each by itself, so that several may be dead at once. All live at the end.

    Answers how often each died.
    """
    died: Counter[str] = Counter()
    end = time.monotonic() + seconds
    seeds = {name: chance.random() for name in victims}
    async with asyncio.TaskGroup() as group:
        for name, victim in victims.items():
            group.create_task(_die(name, victim, end, random.Random(seeds[name]), died))  # noqa: S311 (chance, no secret)
    return died


async def _die(name: str, victim: Victim, end: float, chance: random.Random, died: Counter[str]) -> None:
    while (life := chance.uniform(*_LIVES)) < end - time.monotonic() or not died[name]:
        await asyncio.sleep(min(life, max(0.0, end - time.monotonic())))
        killed = time.monotonic()
        await asyncio.to_thread(victim.kill)
        died[name] += 1
        await asyncio.sleep(chance.uniform(*_DEAD))
        await asyncio.to_thread(_revive, victim)
        print(f"  {name} was dead for {time.monotonic() - killed:.1f} s", flush=True)


def _revive(victim: Victim) -> None:
    """Start it, again and again while what it needs is dead."""
    while True:
        try:
            victim.start()
        except StackError:
            time.sleep(0.1)
        else:
            return
