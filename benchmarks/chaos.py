"""Nothing lost, nothing invented: a fleet publishes while components are killed and restarted at random.

    python benchmarks/chaos.py --seed 1 --nodes 1000 --models 8 --seconds 60
    python benchmarks/chaos.py --services    # model services fail instead: chaos_services.py
    python benchmarks/chaos.py --gateways    # nodes behind SMG come and die instead: chaos_gateways.py

Real NATS, PostgREST and Postgres, three replicas; PostgREST, Postgres, NATS and the first replica die by SIGKILL. At
the end every replica and the database must match the state of the fleet exactly; otherwise the exit code is 1.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import LiteralString

import httpx
import psycopg

import chaos_gateways
import chaos_services
from acknowledgements import HOLD_COMMITS, HOLD_NO_COMMITS, Acknowledgements, Ledger
from casualties import Victim, kill_at_random
from fleet import Found, Key, Publisher, deployments_of, differences, model_of
from fleet_simulation import Habits, Model, SimulatedFleet
from model_registry.devstack.embedded import EmbeddedStack
from model_registry.messaging.connection import NatsConnection, cancel
from model_registry.messaging.login import NatsLogin
from model_registry.store import migrations
from replicas import Replica, make_replicas

SCHEMA = "model_registry"
_SHOWN = 20
_TELL_SECONDS = 10


def in_database(url: str) -> tuple[dict[Key, Model], dict[str, str], list[str]]:
    """Deployments, nodes, and what must not exist: duplicate keys and rejections."""
    with psycopg.connect(url, options=f"-c search_path={SCHEMA}", row_factory=psycopg.rows.dict_row) as database:
        rows = database.execute("select * from model_deployments").fetchall()
        nodes = database.execute("select node_id, status from gpu_nodes").fetchall()
        rejected = database.execute("select subject, reason from rejected_events").fetchall()
    found = {(row["node_id"], row["announced_model"]): model_of(row) for row in rows}
    odd = [f"rejected: {one}" for one in rejected]
    if len(found) < len(rows) or len({row["node_id"] for row in nodes}) < len(nodes):
        odd.append(f"{len(rows)} deployments of {len(found)} keys, {len(nodes)} nodes")
    return found, {row["node_id"]: row["status"] for row in nodes}, odd


class Chaos:
    """One run on a running stack."""

    def __init__(self, options: argparse.Namespace, stack: EmbeddedStack, replicas: list[Replica]) -> None:
        beat = options.heartbeat
        habits = Habits(beat, change=beat * 2, crash=beat * 40, down=beat * 2.4, latest=beat * 0.6)
        self._options = options
        self._stack = stack
        self._replicas = replicas
        self._database_url = stack.environment()["DATABASE_URL"]
        self._fleet = SimulatedFleet(options.seed, options.nodes, options.models, start=time.time(), habits=habits)
        self._ledger = Ledger(time.time(), rate=2)
        self._acknowledged = Acknowledgements(self._database_url, SCHEMA)

    async def run(self) -> list[str]:
        """Return the differences at the end."""
        options = self._options
        link = NatsConnection(NatsLogin(self._stack.environment()["NATS_URL"]), "chaos")
        link.when_connected(self._acknowledged.listen)
        publisher = Publisher(link, self._acknowledged.note)
        link.start()
        work = [asyncio.create_task(publisher.run(self._fleet, self._ledger))]
        work += [asyncio.create_task(self._acknowledged.run())]
        victims: dict[str, Victim] = {
            "PostgREST": self._stack.postgrest,
            "Postgres": self._stack.postgres,
            "NATS": self._stack.nats,
            "a replica": self._replicas[0],
        }
        died = await kill_at_random(victims, options.seconds, random.Random(options.seed))  # noqa: S311 (chance)
        print("killed: " + ", ".join(f"{name} {times} times" for name, times in sorted(died.items())), flush=True)
        self._fleet.settle()
        self._ledger.closed = True
        began = time.monotonic()
        wrong = await self._until_right()
        print(
            f"{publisher.stored} messages stored, {publisher.unsure} published again, {publisher.waiting} waiting; "
            f"{len(wrong)} things wrong {time.monotonic() - began:.1f} s after the last death"
        )
        await self._acknowledged.look()
        print(self._acknowledged.summary())
        for task in work:
            await cancel(task)
        await self._acknowledged.close()
        await link.stop()
        return wrong + [f"acknowledged before its commit: {one}" for one in self._acknowledged.premature]

    async def _until_right(self) -> list[str]:
        """Wait until the database and every replica match the fleet; after the timeout, return the differences."""
        began = told = time.monotonic()
        while True:
            wrong = await self._wrong()
            now = time.monotonic()
            if not wrong or now > began + self._options.patience:
                return wrong
            if now > told + _TELL_SECONDS:
                told = now
                print(
                    f"  {len(wrong)} things not yet right {now - began:.0f} s after the last death: {wrong[0]}",
                    flush=True,
                )
            await asyncio.sleep(1)

    async def _wrong(self) -> list[str]:
        expected: Found = {**self._fleet.expected(), **self._ledger.expected()}
        nodes = self._fleet.expected_nodes()
        found, found_nodes, odd = await asyncio.to_thread(in_database, self._database_url)
        wrong = [*odd, *differences(expected, found)]
        wrong += [
            f"{node} is {found_nodes.get(node)}, not {status}"
            for node, status in nodes.items()
            if found_nodes.get(node) != status
        ]
        if wrong:
            return wrong  # the replicas have no better
        for replica in self._replicas:
            wrong += [f"{replica.name}: {one}" for one in await _wrong_on(replica, expected)]
        return wrong


async def _wrong_on(replica: Replica, expected: Found) -> list[str]:
    try:
        async with httpx.AsyncClient(base_url=replica.url, trust_env=False, timeout=30) as client:
            return differences(expected, await deployments_of(client))
    except (httpx.HTTPError, ValueError) as error:
        return [f"{error!r}; {replica.state}"]


def wrong_after_chaos(options: argparse.Namespace, stack: EmbeddedStack, scratch: Path) -> list[str]:
    """Run on a stack with an empty database. Returns the differences at the end."""
    environment = {
        **{key: value for key, value in stack.environment().items() if key != "DATABASE_URL"},
        "MODEL_REGISTRY_HEARTBEAT_SECONDS": str(options.heartbeat),
        "MODEL_REGISTRY_CHECK_WITH_GATEWAY": "false",
        "MODEL_REGISTRY_LOG_LEVEL": "warning",
    }
    replicas = make_replicas(options.replicas, environment, scratch)
    _execute(stack, HOLD_COMMITS)
    try:
        with ThreadPoolExecutor() as pool:
            list(pool.map(Replica.start, replicas))
        print(
            f"seed {options.seed}: {options.nodes} nodes x {options.models} models for {options.seconds:g} s",
            flush=True,
        )
        return asyncio.run(Chaos(options, stack, replicas).run())
    finally:
        for replica in replicas:
            replica.kill()
        _execute(stack, HOLD_NO_COMMITS)


def _execute(stack: EmbeddedStack, statements: LiteralString) -> None:
    with psycopg.connect(stack.environment()["DATABASE_URL"], options=f"-c search_path={SCHEMA}") as database:
        database.execute(statements)


def options_from(arguments: list[str] | None = None) -> argparse.Namespace:
    """Parse the arguments, by default those of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--nodes", type=int, default=1000)
    parser.add_argument("--models", type=int, default=8, help="models a node may have loaded")
    parser.add_argument("--replicas", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=60, help="how long things happen, and die")
    parser.add_argument("--heartbeat", type=float, default=5, help="seconds between two status messages of a node")
    parser.add_argument("--patience", type=float, default=180, help="seconds until everything must be as it is")
    parser.add_argument("--durable", action="store_true", help="Postgres waits for the disk; SIGKILL needs none")
    return parser.parse_args(arguments)


def main() -> int:
    """Start everything, run, and print the result."""
    options = options_from()
    with (
        tempfile.TemporaryDirectory(prefix="chaos-") as directory,
        EmbeddedStack(
            Path(directory) / "data",
            prepare=lambda url: migrations.migrate(url, SCHEMA),
            durable=options.durable,
        ) as stack,
    ):
        wrong = wrong_after_chaos(options, stack, Path(directory))
    for one in wrong[:_SHOWN]:
        print(one)
    right = "RIGHT: nothing lost, nothing invented, nothing acknowledged before its commit"
    print(f"WRONG: {len(wrong)} things" if wrong else right)
    return 1 if wrong else 0


if __name__ == "__main__":
    other = {"--services": chaos_services.main, "--gateways": chaos_gateways.main}
    raise SystemExit(next((run for option, run in other.items() if option in sys.argv), main)())
