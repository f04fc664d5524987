"""Nodes come and are killed, and no request may fail: behind SMG, and beside it routed by configuration.

    python benchmarks/chaos.py --gateways --seconds 60 --rate 100

Real NATS, PostgREST and Postgres, one registry, two TensorZero gateways with an agent each. One reaches the nodes
through SMG; the other gets a configuration with a route per node, and is started anew for each: the next one before the
last one stops, and callers know it at once, as behind a load balancer that notices everything. So its figures are its
best ones.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import tempfile
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from model_registry.devstack.embedded import EmbeddedStack
from model_registry.store import migrations
from replicas import make_replicas
from servers import API_KEY
from support.fleet import Fleet, fleet_on
from support.gateway_client import GatewayProgram, Programs, free_port
from support.model_nodes import Callers, ModelNode
from support.processes import wait_until
from support.smg_program import SmgProgram, agent_of, running_smg

SCHEMA = "model_registry"
MODEL = "Qwen/Qwen3-8B"
NAMES = ("a", "b")
DIED_SECONDS = 3.0
"""From a node's death until the registry hears of it: what a heartbeat that does not come takes at best."""
_HEADERS = {"Authorization": f"Bearer {API_KEY}"}
_LOOK_SECONDS = 0.02


@dataclass(slots=True)
class Side:
    """One TensorZero gateway, and what it was like to ask it."""

    name: str
    provider: str
    gateway: GatewayProgram
    callers: Callers
    began_with: str = ""
    configurations: int = 0
    """That it was started anew for."""
    came: list[float] = field(default_factory=list)
    """Seconds from a node's event until it answers."""

    async def follow(self) -> None:
        """Note where the gateway is, and each configuration that it is started with."""
        loaded = self.began_with
        while True:
            now = await asyncio.to_thread(self.gateway.loaded)
            if now and now != loaded:
                loaded, self.configurations = now, self.configurations + 1
            with suppress(httpx.HTTPError):
                self.callers.base = await asyncio.to_thread(self.gateway.base)
            await asyncio.sleep(_LOOK_SECONDS)

    def line(self) -> str:
        """A row of the table."""
        seconds = f"{statistics.median(self.came):.2f} ({max(self.came):.2f})" if self.came else "never"
        slow = max((answer.done - answer.sent for answer in self.callers.answers), default=0.0)
        return (
            f"{self.name:<24} {self.configurations:>8} {len(self.callers.failed):>8} of {len(self.callers.answers):<7}"
            f" {seconds:>12} {slow:>8.2f}"
        )


HEAD = f"{'':<24} {'restarts':>8} {'failed requests':>19} {'comes, s':>12} {'slowest':>8}"


class GatewaysChaos:
    """One run: two nodes, of which one at a time is killed and comes back."""

    def __init__(self, options: argparse.Namespace, sides: list[Side], nodes: list[ModelNode], nats: Fleet) -> None:
        self._options = options
        self._sides = sides
        self._nodes = nodes
        self._nats = nats
        self._random = random.Random(options.seed)  # noqa: S311 (repeatable, not secret)

    async def run(self) -> None:
        """Kill and bring back, while everybody asks."""
        ended = asyncio.Event()
        work = [asyncio.create_task(side.follow()) for side in self._sides]
        asking = [asyncio.create_task(side.callers.run(ended)) for side in self._sides]
        began = time.monotonic()
        while time.monotonic() - began < self._options.seconds:
            await self._round(self._random.choice(self._nodes))
        ended.set()
        await asyncio.gather(*asking)
        for task in work:
            task.cancel()

    async def _round(self, victim: ModelNode) -> None:
        victim.kill()
        await asyncio.sleep(DIED_SECONDS)
        await self.publish(victim, "lost")
        await asyncio.sleep(self._random.uniform(0.5, 2))
        victim.start()
        event = time.time()
        await self.publish(victim, "loaded")
        await asyncio.gather(*(self._came(side, victim, event) for side in self._sides))
        await asyncio.sleep(self._random.uniform(0.5, 2))

    async def publish(self, node: ModelNode, status: str) -> None:
        """Publish a node's event."""
        event = node.event("unloaded" if status == "lost" else status)
        await self._nats.load(event.pop("model_id"), node=event.pop("node_id"), **event)

    async def _came(self, side: Side, node: ModelNode, event: float) -> None:
        """Wait until the node answers, or is routed to: the second of two routes answers nothing meanwhile."""
        deadline = event + 20
        while time.time() < deadline:
            first = side.callers.first(node.name, event)
            if first is None and f"{side.provider}@{node.name}" in await asyncio.to_thread(side.gateway.loaded):
                first = time.time() - event
            if first is not None:
                side.came.append(first)
                return
            await asyncio.sleep(_LOOK_SECONDS)


def _catalogue(client: httpx.Client, smg: SmgProgram) -> None:
    """Write a model that is reached through SMG, and the same one routed by deployments; a gateway for each."""

    def post(path: str, **row: object) -> None:
        client.post(path, json=row).raise_for_status()

    post("/api/gateways", name="edge", kind="smg", settings={"address": f"{smg.url}/v1"})
    post("/api/providers", name="through", type="vllm", route_by="gateway:edge")
    nowhere = f"http://127.0.0.1:{free_port()}/v1"
    post("/api/providers", name="direct", type="vllm", api_base=nowhere, route_by="deployments")
    for provider in ("through", "direct"):
        post("/api/models", name=provider, model_id=MODEL, provider=provider)
        post("/api/gateways", name=f"by-{provider}", kind="tensorzero", providers=[provider])


def _side(programs: Programs, registry: str, scratch: Path, provider: str, name: str) -> Side:
    """Start a TensorZero gateway with its agent."""
    directory = scratch / provider
    directory.mkdir()
    gateway = GatewayProgram(programs, directory, free_port())
    agent = agent_of(f"by-{provider}", registry, directory / "out", gateway.options[1], gateway.options[3])
    programs(f"sync-{provider}", *agent)
    gateway.run()
    wait_until(gateway.loaded)
    callers = Callers(gateway.base(), f"tensorzero::model_name::{provider}", 0.0)
    return Side(name, provider, gateway, callers)


async def _sides_of(options: argparse.Namespace, sides: list[Side], programs: Programs, exits: ExitStack) -> None:
    nodes = [exits.enter_context(ModelNode(name, MODEL)) for name in NAMES]
    async with fleet_on(programs.nats_url) as nats:
        chaos = GatewaysChaos(options, sides, nodes, nats)
        for node in nodes:
            await chaos.publish(node, "loaded")
        for side in sides:
            side.callers.rate = options.rate
            answered = lambda side=side: side.gateway.answer(f"model_name::{side.provider}")  # noqa: E731
            await asyncio.to_thread(wait_until, answered)
            side.began_with = side.gateway.loaded()
        await chaos.run()


def compared(options: argparse.Namespace, stack: EmbeddedStack, scratch: Path) -> list[Side]:
    """Run on a stack with an empty database. Returns both sides; the first is behind SMG."""
    environment = {key: value for key, value in stack.environment().items() if key != "DATABASE_URL"}
    environment |= {"MODEL_REGISTRY_CHECK_WITH_GATEWAY": "true", "MODEL_REGISTRY_ROUTE_HOLD_SECONDS": "0.2"}
    (replica,) = make_replicas(1, environment, scratch)
    programs = Programs(scratch, stack.environment()["NATS_URL"])
    edge = scratch / "edge"
    edge.mkdir()
    with ExitStack() as exits:
        exits.callback(replica.kill)
        exits.callback(programs.end)
        replica.start()
        smg = exits.enter_context(running_smg(edge))
        with httpx.Client(base_url=replica.url, headers=_HEADERS, trust_env=False, timeout=30) as client:
            wait_until(lambda: client.get("/readyz").is_success)
            _catalogue(client, smg)
        programs("edge", *agent_of("edge", replica.url, edge))
        wait_until(smg.manifest.is_file)
        names = {"through": "behind SMG", "direct": "routed by configuration"}
        sides = [_side(programs, replica.url, scratch, provider, name) for provider, name in names.items()]
        asyncio.run(_sides_of(options, sides, programs, exits))
    return sides


def options_from(arguments: list[str] | None = None) -> argparse.Namespace:
    """Parse the arguments, by default those of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gateways", action="store_true", required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=60, help="how long requests are sent, and nodes die")
    parser.add_argument("--rate", type=float, default=100, help="requests a second to each gateway")
    return parser.parse_args(arguments)


def main() -> int:
    """Start everything, run, and print the table. Exit code 1: behind SMG one failed, or a gateway restarted."""
    options = options_from()
    with (
        tempfile.TemporaryDirectory(prefix="chaos-") as directory,
        EmbeddedStack(
            Path(directory) / "data", prepare=lambda url: migrations.migrate(url, SCHEMA), durable=False
        ) as stack,
    ):
        sides = compared(options, stack, Path(directory))
    print("\n".join([HEAD, *(side.line() for side in sides)]))
    behind = sides[0]
    return 1 if behind.callers.failed or behind.configurations or not behind.came else 0
