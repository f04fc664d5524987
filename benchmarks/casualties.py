"""Components that are killed with SIGKILL at random, and restarted."""

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
    """A component that can be killed."""

    def kill(self) -> None:
        """Kill it with SIGKILL."""

    def start(self) -> None:
        """Start it and return when it is ready. Errors: StackError, e.g. if its dependency is dead."""


async def kill_at_random(victims: Mapping[str, Victim], seconds: float, chance: random.Random) -> Counter[str]:
    """Kill each component repeatedly and independently, so that several may be dead at once. All run again at the end.

    Returns the number of deaths of each.
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
    """Start it, repeating the attempt while its dependency is dead."""
    while True:
        try:
            victim.start()
        except StackError:
            time.sleep(0.1)
        else:
            return
