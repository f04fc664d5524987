"""A fleet behind the real SMG, and the real TensorZero before it: what happens to callers when nodes come and die.

Uses nothing of pytest: benchmarks use it too.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from support.model_nodes import Answered, Callers, ModelNode

DEAD_SECONDS = 2.0
"""After this a node that was killed gets nothing more."""
_LOOK_SECONDS = 0.01
_LONGEST = 30.0


@dataclass(slots=True)
class Round:
    """What one node's coming and dying was like, in seconds."""

    came: float
    """From its event until the answer to a request that was sent since."""
    ghost_asked: int
    """Requests that came to its address, two seconds after it was killed."""


@dataclass(slots=True)
class Fleet:
    """One node that stays, and one that comes and is killed, while callers ask."""

    callers: Callers
    stays: ModelNode
    comes: ModelNode
    publish: Callable[[ModelNode, str], Awaitable[None]]
    """Publishes a node's event."""

    async def round(self) -> Round:
        """Let the node come, wait for its first answer, kill it, and see what still comes to its address."""
        self.comes.start()
        event = time.time()
        await self.publish(self.comes, "loaded")
        came = await self._first_answer(event)
        self.comes.kill()
        await asyncio.sleep(DEAD_SECONDS)
        self.comes.haunt()
        await asyncio.sleep(1.0)
        ghost_asked = await asyncio.to_thread(lambda: self.comes.asked)
        await self.publish(self.comes, "unloaded")
        self.comes.kill()
        return Round(came, ghost_asked)

    async def _first_answer(self, after: float) -> float:
        deadline = time.time() + _LONGEST
        while (first := self.callers.first(self.comes.name, after)) is None:
            if time.time() > deadline:
                raise TimeoutError(f"{self.comes.name} answered nothing within {_LONGEST:.0f} s: {self.last()}")
            await asyncio.sleep(_LOOK_SECONDS)
        return first

    def last(self) -> list[Answered]:
        """The last answers, for a message."""
        return self.callers.answers[-3:]
