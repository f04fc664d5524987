"""Load: a simulated fleet publishes over real NATS, and the registry is compared with the state of the simulation.

    python benchmarks/fleet.py --nats nats://token@host --registry http://host:8110 --nodes 1000 --models 8 --seed 1

Other fleets must not publish meanwhile. The behaviour of the fleet is in `fleet_simulation.py`.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

import httpx
import orjson
from nats.aio.client import Client
from nats.aio.msg import Msg

from fleet_simulation import Model, Publication, SimulatedFleet
from model_registry.messaging.cancel import cancel
from model_registry.messaging.connection import FAILURES, NatsConnection
from model_registry.messaging.login import NatsLogin

_LOOK_SECONDS = 0.02
_ANSWER_SECONDS = 2.0
_AT_ONCE = 1000
_PAGE = 1000

Key = tuple[str, str]
"""Node and model."""
Found = Mapping[Key, Model]


class Speaks(Protocol):
    """A source of messages to publish."""

    def until(self, now: float) -> Iterator[Publication]:
        """The messages due up to a time, in seconds since 1970."""


class Publisher:
    """Publishes due messages, each one again until the stream confirms it: from then on it must not be lost.

    One subscription receives all confirmations: nats-py's own JetStream `publish` takes ten times as long.
    """

    def __init__(self, link: NatsConnection, on_stored: Callable[[Publication, int], None] = lambda *_: None) -> None:
        """`on_stored` is called with each message and its place in the stream. The link must not be started yet."""
        self._link = link
        self._on_stored = on_stored
        self._inbox = f"_INBOX.{uuid.uuid4().hex}"
        self._waiting: deque[Publication] = deque()
        self._sent: dict[int, tuple[Publication, float]] = {}
        self._number = 0
        self.stored = 0
        self.unsure = 0
        """How many times a message was published again because it was not confirmed."""
        link.when_connected(self._listen)

    @property
    def waiting(self) -> int:
        """Messages that are not confirmed yet."""
        return len(self._waiting) + len(self._sent)

    async def run(self, *speakers: Speaks) -> None:
        """Publish until cancelled."""
        while True:
            now = time.time()
            for speaker in speakers:
                self._waiting.extend(speaker.until(now))
            self._give_up_on(now - _ANSWER_SECONDS)
            with contextlib.suppress(*FAILURES):
                await self._send(now)
            await asyncio.sleep(_LOOK_SECONDS)

    async def _send(self, now: float) -> None:
        client = self._link.client
        while client is not None and self._waiting and len(self._sent) < _AT_ONCE:
            self._number += 1
            publication = self._waiting.popleft()
            self._sent[self._number] = (publication, now)
            reply = f"{self._inbox}.{self._number}"
            await client.publish(publication.subject, orjson.dumps(publication.payload), reply=reply)

    def _give_up_on(self, before: float) -> None:
        """Queue unconfirmed messages to be published again."""
        late = [number for number, (_, at) in self._sent.items() if at < before]
        self._waiting.extendleft(self._sent.pop(number)[0] for number in reversed(late))
        self.unsure += len(late)

    async def _listen(self, client: Client) -> None:
        await client.subscribe(f"{self._inbox}.*", cb=self._answered)

    async def _answered(self, message: Msg) -> None:
        answer = orjson.loads(message.data or b"{}")
        if "seq" in answer:  # otherwise there is no stream yet, or it could not store the message
            sent = self._sent.pop(int(message.subject.rpartition(".")[2]), None)
            if sent is not None:
                self.stored += 1
                self._on_stored(sent[0], answer["seq"])


def differences(expected: Found, found: Found) -> list[str]:
    """The differences, one line each."""
    return [
        f"{node} {model}: expected {expected.get((node, model))}, found {found.get((node, model))}"
        for node, model in sorted(expected.keys() | found.keys())
        if expected.get((node, model)) != found.get((node, model))
    ]


def model_of(row: Mapping[str, Any]) -> Model:
    """A deployment as the simulation has it."""
    return Model(row["status"], row["vram_allocated_mb"], row["endpoint"], row["error_message"])


async def deployments_of(registry: httpx.AsyncClient) -> dict[Key, Model]:
    """The deployments that a registry returns. Errors: httpx.HTTPError; ValueError for a duplicate deployment."""
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
    link = NatsConnection(NatsLogin(options.nats), "fleet of a benchmark")
    publisher = Publisher(link)
    link.start()
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
    await cancel(work)
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
