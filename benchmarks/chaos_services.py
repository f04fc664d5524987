"""No request lost, none carried out twice: model services fail in every way while requests are dispatched to them.

    python benchmarks/chaos.py --services --seconds 600

Two replicas on real Postgres, PostgREST and NATS, which are killed at random; three instances of a model service, of
which one is always well; a trainer whose event loop is blocked; callers that leave. Prints a table of what is promised
and what was seen; the exit code is 1 if a promise is broken.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

import service_promises as promises
from casualties import Victim, kill_at_random
from model_registry.devstack.embedded import EmbeddedStack
from model_registry.store import migrations
from replicas import Replica, make_replicas
from servers import API_KEY
from service_calls import Call, ask, leave
from service_faults import Instance, fail_in_turns, start_instances
from service_promises import Kept
from support.model_services import StubModelService

SCHEMA = "model_registry"
INSTANCES = 3
LIMIT = 4
"""Requests at once at an instance, from each replica."""
_PREDICTION_SECONDS = 0.05
_ONCE = 5
"""Each fifth request must not be repeated."""
_LEAVING_AT_ONCE = 10
_LONGEST_STAY_SECONDS = 0.2
_LONG_SECONDS = 60.0
"""A prediction that no caller waits for."""
_SETTLE_SECONDS = 60.0


class ServicesChaos:
    """One run on running replicas."""

    def __init__(
        self,
        options: argparse.Namespace,
        stack: EmbeddedStack,
        replicas: Sequence[Replica],
        instances: Sequence[Instance],
    ) -> None:
        self._options = options
        self._stack = stack
        self._replicas = replicas
        self._instances = instances
        self._chance = random.Random(options.seed)  # noqa: S311 (chance)

    async def run(self, trainer: StubModelService, slow: StubModelService) -> list[Kept]:
        """Send, break and count."""
        options = self._options
        for one in self._instances:
            self._register(one.name, one.stub, "LSTM", ["prediction", "scoring"], LIMIT)
        self._register("trainer", trainer, "TRAINER", ["training"])
        self._register("slow", slow, "SLOW", ["prediction"])
        await self._until_known()
        training = asyncio.create_task(self._train(trainer))
        stop = asyncio.Event()
        load = asyncio.create_task(self._load(stop))
        victims: dict[str, Victim] = {
            "PostgREST": self._stack.postgrest,
            "Postgres": self._stack.postgres,
            "NATS": self._stack.nats,
        }
        faults = fail_in_turns(
            self._instances,
            options.seconds,
            fault_seconds=options.fault_seconds,
            quiet_seconds=options.quiet_seconds,
        )
        rounds, died = await asyncio.gather(faults, kill_at_random(victims, options.seconds, self._chance))
        stop.set()
        calls = await load
        print(
            f"{rounds} rounds of faults; killed: " + ", ".join(f"{name} {n} times" for name, n in sorted(died.items()))
        )
        trained = await training
        leaving = await self._leave(slow)
        for one in self._instances:
            one.remember()
        return [
            promises.repeatable(calls),
            promises.others(calls, self._instances),
            promises.at_once(self._instances, LIMIT),
            *promises.out(self._instances, LIMIT),
            promises.back(self._instances, len(self._replicas)),
            trained,
            *leaving,
        ]

    def _register(
        self, name: str, stub: StubModelService, model_type: str, capabilities: list[str], limit: int | None = None
    ) -> None:
        fields = {"service_id": name, "service_url": stub.url, "model_type": model_type, "capabilities": capabilities}
        more = {"max_concurrent_requests": limit, "timeout": None}
        if "training" in capabilities:
            more["timeout"] = 2 * self._options.training + 600
        with self._client(self._replicas[0]) as client:
            client.post("/services/register", json={**fields, **more}).raise_for_status()

    async def _until_known(self) -> None:
        """Wait until every replica has all instances."""
        for replica in self._replicas:
            while await asyncio.to_thread(self._known, replica) < INSTANCES + 2:  # noqa: ASYNC110 (another process)
                await asyncio.sleep(0.05)

    def _known(self, replica: Replica) -> int:
        with self._client(replica) as client:
            return int(client.get("/services").json()["count"])

    async def _load(self, stop: asyncio.Event) -> list[Call]:
        """Requests at a constant rate, whether or not earlier ones have been answered."""
        began, tasks = time.monotonic(), list[asyncio.Task[Call]]()
        while not stop.is_set():
            number = len(tasks)
            tasks.append(asyncio.create_task(self._one(number)))
            await asyncio.sleep(max(0.0, began + (number + 1) / self._options.rate - time.monotonic()))
        return await asyncio.gather(*tasks)

    async def _one(self, number: int) -> Call:
        replica = number % len(self._replicas)
        url = self._replicas[replica].url
        if number // len(self._replicas) % _ONCE:
            return await ask(url, "/predict", f"again-{replica}-{number}", {"model_type": "LSTM", "data": [1.0]})
        return await ask(url, "/dispatch/LSTM/scoring/predict", f"once-{replica}-{number}", {"data": [1.0]})

    async def _train(self, trainer: StubModelService) -> Kept:
        """One long training, whose instance answers nothing until it ends."""
        url = self._replicas[0].url
        training = asyncio.create_task(ask(url, "/train", "train-0-0", {"model_type": "TRAINER", "config": {}}))
        states: set[str] = set()
        async with httpx.AsyncClient(headers=_HEADERS, trust_env=False, timeout=30) as client:
            while not training.done():
                for replica in self._replicas:
                    health = (await client.get(f"{replica.url}/services/trainer/health")).json()
                    states.add(health["state"])
                await asyncio.wait([training], timeout=min(1.0, self._options.training / 10))
        call = await training
        runs = (await asyncio.to_thread(trainer.seen)).executed["train-0-0"]
        seen = f"{call.status} after {call.ended - call.began:.0f} s; {runs} run; {', '.join(sorted(states))}"
        kept = call.well and runs == 1 and call.attempts == 1 and states <= {"healthy", "busy"}
        return Kept(f"training of {self._options.training:.0f} s with /health blocked", "200, 1 run, busy", seen, kept)

    async def _leave(self, slow: StubModelService) -> list[Kept]:
        """Callers that leave at once; then no place may be taken."""
        count, places = self._options.leaving, asyncio.Semaphore(_LEAVING_AT_ONCE)
        closed: dict[str, float] = {}

        async def one(number: int) -> None:
            replica = number % len(self._replicas)
            name = f"leaves-{replica}-{number}"
            body = {"model_type": "SLOW", "data": [1.0]}
            async with places:
                stay = self._chance.uniform(0, _LONGEST_STAY_SECONDS)
                closed[name] = await leave(self._replicas[replica].url, "/predict", name, body, stay)

        await asyncio.gather(*(one(number) for number in range(count)))
        taken = await self._taken()
        seen = await asyncio.to_thread(slow.seen)
        nothing = Kept(f"places taken after {count} callers left", "0", f"{taken + seen.in_flight}", not taken)
        return [promises.left(closed, seen.calls), nothing]

    async def _taken(self) -> int:
        """Requests that the replicas count, once they have had time to end."""
        deadline = time.monotonic() + _SETTLE_SECONDS
        while True:
            taken = 0
            for replica in self._replicas:
                with self._client(replica) as client:
                    taken += sum(instance["in_flight"] for instance in client.get("/services").json()["items"])
            if not taken or time.monotonic() > deadline:
                return taken
            await asyncio.sleep(0.1)

    @staticmethod
    def _client(replica: Replica) -> httpx.Client:
        return httpx.Client(base_url=replica.url, headers=_HEADERS, trust_env=False, timeout=30)


_HEADERS = {"Authorization": f"Bearer {API_KEY}"}


def kept_in_chaos(options: argparse.Namespace, stack: EmbeddedStack, scratch: Path) -> list[Kept]:
    """Run on a stack with an empty database. Returns a row for each promise."""
    environment = {
        **{key: value for key, value in stack.environment().items() if key != "DATABASE_URL"},
        "HEALTH_CHECK_INTERVAL": str(options.health_interval),
        "SERVICE_TIMEOUT": str(options.timeout),
        "MODEL_REGISTRY_CHECK_WITH_GATEWAY": "false",
        "MODEL_REGISTRY_LOG_LEVEL": "warning",
    }
    replicas = make_replicas(options.replicas, environment, scratch)
    instances = start_instances(INSTANCES, scratch, _PREDICTION_SECONDS)
    trainer = StubModelService("TRAINER", training_seconds=options.training)
    slow = StubModelService("SLOW", seconds=_LONG_SECONDS)
    try:
        with ThreadPoolExecutor() as pool:
            list(pool.map(Replica.start, replicas))
        print(f"seed {options.seed}: {options.rate:g} requests a second for {options.seconds:g} s", flush=True)
        return asyncio.run(ServicesChaos(options, stack, replicas, instances).run(trainer, slow))
    finally:
        for replica in replicas:
            replica.kill()
        for stub in (trainer, slow, *(one.stub for one in instances)):
            stub.close()


def options_from(arguments: list[str] | None = None) -> argparse.Namespace:
    """Parse the arguments, by default those of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--services", action="store_true", required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=600, help="how long requests are sent, and things fail")
    parser.add_argument("--rate", type=float, default=50, help="requests a second")
    parser.add_argument("--replicas", type=int, default=2)
    parser.add_argument("--fault-seconds", type=float, default=12, help="how long an instance fails")
    parser.add_argument("--quiet-seconds", type=float, default=12, help="how long all are well between two rounds")
    parser.add_argument("--timeout", type=float, default=10, help="SERVICE_TIMEOUT of the registry")
    parser.add_argument("--health-interval", type=float, default=10, help="HEALTH_CHECK_INTERVAL of the registry")
    parser.add_argument("--training", type=float, default=600, help="seconds that the training takes")
    parser.add_argument("--leaving", type=int, default=10_000, help="callers that leave")
    return parser.parse_args(arguments)


def main() -> int:
    """Start everything, run, and print the table."""
    options = options_from()
    with (
        tempfile.TemporaryDirectory(prefix="chaos-") as directory,
        EmbeddedStack(
            Path(directory) / "data", prepare=lambda url: migrations.migrate(url, SCHEMA), durable=False
        ) as stack,
    ):
        rows = kept_in_chaos(options, stack, Path(directory))
    print(promises.table(rows))
    return 0 if all(row.kept for row in rows) else 1
