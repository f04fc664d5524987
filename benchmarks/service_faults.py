"""Faults of model services, round by round: one instance stays well, and each of the others fails in its way."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Any

from support.model_services import StubModelService

RETRY_AFTER_SECONDS = 2.0
FAULTS: dict[str, tuple[Callable[[StubModelService], None], Callable[[StubModelService], None]]] = {
    "killed": (StubModelService.kill, StubModelService.start),
    "answers 500": (lambda stub: stub.set(mode="error"), lambda stub: stub.set(mode="ok")),
    "hangs": (lambda stub: stub.set(mode="hang"), lambda stub: stub.set(mode="ok")),
    "answers 429": (
        lambda stub: stub.set(mode="rate_limited", retry_after=RETRY_AFTER_SECONDS),
        lambda stub: stub.set(mode="ok"),
    ),
    "flaps": (
        lambda stub: stub.set(mode="error", flap_seconds=0.5),
        lambda stub: stub.set(mode="ok", flap_seconds=0.0),
    ),
    "hangs up": (lambda stub: stub.set(mode="close_early"), lambda stub: stub.set(mode="ok")),
    "frozen": (StubModelService.freeze, StubModelService.thaw),
}
"""What begins and what ends each."""
ALWAYS_FAILS = {"answers 500", "hangs up"}
"""Faults with which every request fails at once."""


@dataclass(frozen=True, slots=True)
class Window:
    """A fault of one instance, from its beginning to its end. Monotonic seconds."""

    fault: str
    began: float
    ended: float


@dataclass
class Instance:
    """One instance, its faults, and what it saw: a kill takes its memory, so it is asked before."""

    name: str
    stub: StubModelService
    windows: list[Window] = field(default_factory=list)
    calls: list[dict[str, Any]] = field(default_factory=list)

    def remember(self) -> None:
        """Keep what it has seen. What is under way ends with it."""
        now = time.monotonic()
        self.calls += [{"ended": now, **call} for call in self.stub.seen().calls]

    def begin(self, fault: str) -> None:
        """Begin a fault."""
        if fault == "killed":
            self.remember()
        FAULTS[fault][0](self.stub)

    def end(self, fault: str, began: float) -> None:
        """End it."""
        FAULTS[fault][1](self.stub)
        self.windows.append(Window(fault, began, time.monotonic()))


def start_instances(count: int, scratch: Path, seconds: float) -> list[Instance]:
    """Instances of which each prediction takes so many seconds."""
    return [
        Instance(name, StubModelService(journal=scratch / name, seconds=seconds))
        for name in (f"lstm-{number}" for number in range(count))
    ]


async def fail_in_turns(
    instances: Sequence[Instance], seconds: float, *, fault_seconds: float, quiet_seconds: float
) -> int:
    """Rounds of faults, other ones and of other instances each time, until the time is up. Returns their number."""
    end = time.monotonic() + seconds
    following = cycle(FAULTS)
    rounds = 0
    while not rounds or time.monotonic() + fault_seconds + quiet_seconds < end:
        broken = [one for place, one in enumerate(instances) if place != rounds % len(instances)]
        await asyncio.gather(*(_fail(one, next(following), fault_seconds) for one in broken))
        await asyncio.sleep(quiet_seconds)
        rounds += 1
    return rounds


async def _fail(instance: Instance, fault: str, seconds: float) -> None:
    began = time.monotonic()
    await asyncio.to_thread(instance.begin, fault)
    await asyncio.sleep(seconds)
    await asyncio.to_thread(instance.end, fault, began)
    print(f"  {instance.name} {fault} for {seconds:.0f} s", flush=True)
