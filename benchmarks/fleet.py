"""Load: a simulated fleet says over real NATS what it does, and the registry is compared with what is true.

    python benchmarks/fleet.py --nats nats://token@host --registry http://host:8110 --nodes 1000 --models 8 --seed 1

Nodes of other fleets must not speak meanwhile. What the fleet does is in `fleet_simulation.py`.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

import httpx
import nats.errors
import orjson

from fleet_simulation import Model, Publication, SimulatedFleet
from model_registry.messaging.ending import end
from model_registry.messaging.link import FAILURES, NatsLink
from model_registry.messaging.login import NatsLogin

_LOOK_SECONDS = 0.02
_ANSWER_SECONDS = 2.0
_AGAIN_SECONDS = 0.1
_AT_ONCE = 500
_PAGE = 1000

Key = tuple[str, str]
"""Node and model."""
Found = Mapping[Key, Model]


class Speaks(Protocol):
    """Who has something to publish."""

    def until(self, now: float) -> Iterator[Publication]:
        """What is published up to a moment, in seconds since 1970."""


class Publisher:
    """Publishes what falls due, each message until the stream says that it has it: then it must not be lost."""

    def __init__(self, link: NatsLink, on_stored: Callable[[Publication, int], None] = lambda *_: None) -> None:
        """`on_stored` is told of each message and its place in the stream."""
        self._link = link
        self._on_stored = on_stored
        self._tasks: set[asyncio.Task[None]] = set()
        self._room = asyncio.Semaphore(_AT_ONCE)
        self.stored = 0
        self.tried_again = 0
        """How often a message was published again because nobody had said that it was stored. It may have been."""

    async def run(self, *speakers: Speaks) -> None:
        """Publish for ever."""
        while True:
            now = time.time()
            for speaker in speakers:
                for publication in speaker.until(now):
                    task = asyncio.create_task(self._publish(publication))
                    self._tasks.add(task)
                    task.add_done_callback(self._tasks.discard)
            await asyncio.sleep(_LOOK_SECONDS)

    @property
    def waiting(self) -> int:
        """Messages that are not stored yet."""
        return len(self._tasks)

    async def stop(self) -> None:
        """Give up what is not stored."""
        for task in list(self._tasks):
            await end(task)

    async def _publish(self, publication: Publication) -> None:
        payload = orjson.dumps(publication.payload)
        async with self._room:
            while (place := await self._stored(publication.subject, payload)) is None:
                self.tried_again += 1
                await asyncio.sleep(_AGAIN_SECONDS)
        self.stored += 1
        self._on_stored(publication, place)

    async def _stored(self, subject: str, payload: bytes) -> int | None:
        """Publish once; the message's place in the stream, when the stream has it for sure."""
        if self._link.client is None:
            return None
        try:
            return (await self._link.client.jetstream().publish(subject, payload, timeout=_ANSWER_SECONDS)).seq
        except (*FAILURES, nats.errors.Error):
            return None


def differences(expected: Found, found: Found) -> list[str]:
    """Where they differ, one line each."""
    return [
        f"{node} {model}: expected {expected.get((node, model))}, found {found.get((node, model))}"
        for node, model in sorted(expected.keys() | found.keys())
        if expected.get((node, model)) != found.get((node, model))
    ]


def model_of(row: Mapping[str, Any]) -> Model:
    """A deployment as the simulation has it."""
    return Model(row["status"], row["vram_allocated_mb"], row["endpoint"], row["error_message"])


async def deployments_of(registry: httpx.AsyncClient) -> dict[Key, Model]:
    """What a registry answers. Errors: httpx.HTTPError; ValueError, when it has a deployment twice."""
    rows: list[dict[str, Any]] = []
    while True:
        query = {"limit": _PAGE, "offset": len(rows)}
        answer = (await registry.get("/api/deployments", params=query)).raise_for_status().json()
        rows += answer["items"]
        if not answer["items"] or len(rows) >= answer["count"]:
            break
    found = {(row["node_id"], row["announced_model"]): model_of(row) for row in rows}
    if len(found) != len(rows):
        raise ValueError(f"{len(rows) - len(found)} deployments are there twice")
    return found


async def _main(options: argparse.Namespace) -> int:
    fleet = SimulatedFleet(options.seed, options.nodes, options.models, start=time.time())
    link = NatsLink(NatsLogin(options.nats), "fleet of a benchmark")
    link.start()
    publisher = Publisher(link)
    work = asyncio.create_task(publisher.run(fleet))
    async with httpx.AsyncClient(base_url=options.registry, timeout=30) as registry:
        for second in range(options.seconds):
            await asyncio.sleep(1)
            print(f"{second + 1:4} s  {publisher.stored:8} messages stored, {publisher.waiting} waiting")
        fleet.settle()
        deadline = time.monotonic() + options.patience
        while True:
            await asyncio.sleep(1)
            wrong = differences(fleet.expected(), await deployments_of(registry))
            if not wrong or time.monotonic() > deadline:
                break
            print(f"{len(wrong)} of {len(fleet.expected())} deployments are not yet as they must be")
    await end(work)
    await link.stop()
    print("\n".join(wrong[:20]) or f"all {len(fleet.expected())} deployments are as they must be")
    return 1 if wrong else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nats", required=True, help="URL of the NATS server; the registry's stream must be there")
    parser.add_argument("--registry", required=True, help="URL of a registry that has no other deployments")
    parser.add_argument("--nodes", type=int, default=100)
    parser.add_argument("--models", type=int, default=8, help="models a node may have loaded")
    parser.add_argument("--seconds", type=int, default=30, help="how long things happen")
    parser.add_argument("--patience", type=int, default=60, help="seconds until everything must be as it is")
    parser.add_argument("--seed", type=int, default=1)
    raise SystemExit(asyncio.run(_main(parser.parse_args())))
