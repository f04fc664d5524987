"""The context of every measurement: thoroughness, the stack, a scratch directory, and progress output."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import catalogue
import machine
import servers
from model_registry.devstack.embedded import EmbeddedStack
from model_registry.store import migrations
from report import NOISY, Row

T = TypeVar("T")

Measurement = Callable[["Bench"], Iterator[Row]]


class Bench:
    """One run of the benchmarks."""

    def __init__(self, scratch: Path, exits: ExitStack, *, quick: bool, say: Callable[[str], None]) -> None:
        self.scratch = scratch
        self.quick = quick
        self.say = say
        self.notes: list[str] = []
        """What the reader of the table has to know: peers that are not installed."""
        self._exits = exits

    def choose(self, full: T, quick: T) -> T:
        """One of two amounts: the first for figures, the second for a smoke run."""
        return quick if self.quick else full

    @cached_property
    def stack(self) -> EmbeddedStack:
        """Postgres, PostgREST and NATS as `model-registry up` starts them: every commit reaches the disk."""
        self.say("starting Postgres, PostgREST and NATS")

        def prepare(database_url: str) -> None:
            migrations.migrate(database_url, catalogue.SCHEMA)

        return self._exits.enter_context(EmbeddedStack(self.scratch / "stack", prepare=prepare))

    def rounds(self, name: str, number: int, one: Callable[[], T]) -> tuple[list[T], float]:
        """Repeat an action; return each result, and the average number of cores that other programs used.

        A round disturbed by other programs is repeated, at most twice, and the quietest attempt counts.
        """
        kept, foreign = [], []
        for count in range(number):
            tries: list[tuple[float, T]] = []
            while not tries or (tries[-1][0] > NOISY and len(tries) < self.choose(3, 1)):
                again = f", disturbed: try {len(tries) + 1}" if tries else ""
                self.say(f"{name}, round {count + 1} of {number}{again}")
                with machine.others() as others:
                    result = one()
                tries.append((others.cores, result))
            cores, result = min(tries, key=lambda found: found[0])
            kept.append(result)
            foreign.append(cores)
        return kept, sum(foreign) / number

    @property
    def database_url(self) -> str:
        """A connection to Postgres as its superuser."""
        return self.stack.environment()["DATABASE_URL"]

    def fill(self, models: int) -> list[str]:
        """Fill the registry with a catalogue of this size, and nothing else; return the models' ids."""
        self.say(f"filling a catalogue of {models:,} models")
        return catalogue.fill(self.database_url, models)

    def registry(self, **variables: str) -> AbstractContextManager[servers.Server]:
        """A registry service on the stack."""
        self.say("starting the registry")
        return servers.registry(self.stack.environment(), self.scratch, **variables)

    @cached_property
    def postgrest(self) -> servers.Server:
        """PostgREST, called with the registry's key."""
        part, key = self.stack.postgrest, self.stack.environment()["POSTGREST_KEY"]
        return servers.Server(part.port, part.pid, {"Authorization": f"Bearer {key}"})


def milliseconds(action: Callable[[], object]) -> float:
    """Duration of an action."""
    began = time.perf_counter()
    action()
    return (time.perf_counter() - began) * 1000
