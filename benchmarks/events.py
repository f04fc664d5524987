"""GPU events, from JetStream to committed rows: beside a client that only fetches and acknowledges, and beside COPY.

The registry is paused (SIGSTOP) while a backlog is published and while its peers are measured, so that each has the
machine to itself, with all the servers that it needs.
"""

from __future__ import annotations

import asyncio
import os
import signal
import statistics
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

import nats
import nats.js.errors
import orjson
import psutil
import psycopg
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig

import fleet_events
from bench import Bench
from model_registry.fleet.jetstream_setup import CONSUMER, STREAM
from model_registry.messaging.subjects import LOADED, STATUS
from report import Goal, Row
from servers import Server

_NODES = 1000
_FEWER = (10, 100)
"""Sizes of the fleet up to `_NODES`."""
_PATIENCE_SECONDS = 600
_PLAIN = "plain-client"
_FETCH = 500


def measure(bench: Bench) -> Iterator[Row]:
    """Measure a backlog, heartbeats, and the time until an event is visible."""
    variables = {"NATS_URL": bench.stack.environment()["NATS_URL"]}
    bench.fill(bench.choose(1_000, 100))
    with bench.registry(**variables) as registry:
        asyncio.run(_listening(bench))
        yield from _backlog(bench, registry)
        for nodes in _FEWER:
            yield _small_fleet(bench, registry, nodes)
        yield _memory(bench, registry)
        for nodes in (*_FEWER, bench.choose(_NODES, 50)):
            yield _heartbeats(bench, registry, nodes)
        with bench.registry(**variables) as other:
            yield from _visible(bench, other)


# A backlog --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Round:
    """Events per second, measured in three ways."""

    registry: float
    plain: float
    copied: float


def _backlog(bench: Bench, registry: Server) -> Iterator[Row]:
    number, rounds = bench.choose((30_000, 3), (2_000, 1))

    def one() -> _Round:
        payloads = list(fleet_events.events(number, _NODES))
        with _stopped(registry):
            asyncio.run(_publish(bench, payloads))
            plain = asyncio.run(_fetch_only(bench, number))
            copied = _copy(bench, payloads)
        return _Round(asyncio.run(_drained(bench, number)), number / plain, number / copied)

    one()  # to warm up, and to make the rows
    found, foreign = bench.rounds("gpu events", rounds, one)
    ours = tuple(one.registry for one in found)
    plain = tuple(one.plain for one in found)
    copied = tuple(one.copied for one in found)
    goal = Goal("ratio", "at least", 0.6)
    yield Row("gpu events, stream to rows", "/s", ours, "fetch and ack only", plain, goal, foreign)
    yield Row("gpu events, stream to rows", "/s", ours, "COPY of the rows", copied, None, foreign)
    yield Row("gpu events, sustained", "/s", ours, goal=Goal("value", "at least", 10_000), foreign=foreign)


def _small_fleet(bench: Bench, registry: Server, nodes: int) -> Row:
    """The same for fewer nodes. Fewer deployments have more events each, of which only the newest is written."""
    number, rounds = bench.choose((30_000, 3), (2_000, 1))
    name = f"gpu events of {nodes} nodes, stream to rows"

    def one() -> float:
        with _stopped(registry):
            asyncio.run(_publish(bench, list(fleet_events.events(number, nodes))))
        return asyncio.run(_drained(bench, number))

    one()
    found, foreign = bench.rounds(name, rounds, one)
    return Row(name, "/s", tuple(found), foreign=foreign)


def _memory(bench: Bench, registry: Server) -> Row:
    number = bench.choose(100_000, 4_000)
    before = registry.rss_mb()
    with _stopped(registry):
        asyncio.run(_publish(bench, list(fleet_events.events(number, _NODES))))
    bench.say(f"draining {number:,} events")
    asyncio.run(_drained(bench, number))
    goal = Goal("ratio", "at most", 1.25)
    return Row(f"memory after {number:,} events", "MB", (registry.rss_mb(),), "before", (before,), goal)


async def _listening(bench: Bench) -> None:
    """Wait for the stream and the consumer, which the registry creates once it is connected to NATS."""
    async with _client(bench) as client:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                await _caught_up(client.jetstream())
            except nats.js.errors.Error:
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.1)
            else:
                return


async def _publish(bench: Bench, payloads: list[bytes]) -> None:
    """Publish into the stream; return when it has stored all messages."""
    async with _client(bench) as client:
        for number, payload in enumerate(payloads):
            await client.publish(LOADED, payload)
            if number % 1000 == 0:
                await client.flush()
        await client.jetstream().publish(LOADED, b'{"test": true}')


async def _fetch_only(bench: Bench, number: int) -> float:
    """Time that nats-py takes to fetch and acknowledge them, in seconds."""
    async with _client(bench) as client:
        js = client.jetstream()
        last = (await js.stream_info(STREAM)).state.last_seq
        config = ConsumerConfig(
            ack_policy=AckPolicy.EXPLICIT,
            opt_start_seq=last - number,
            deliver_policy="by_start_sequence",  # type: ignore[arg-type] # as the server spells it
            filter_subjects=[LOADED],
            max_ack_pending=10_000,
        )
        await js.add_consumer(STREAM, config, durable_name=_PLAIN)
        subscription = await js.pull_subscribe_bind(_PLAIN, STREAM)
        left, began = number, time.perf_counter()
        while left > 0:
            for message in await subscription.fetch(_FETCH, timeout=10):
                await message.ack()
                left -= 1
        await client.flush()
        took = time.perf_counter() - began
        await js.delete_consumer(STREAM, _PLAIN)
        return took


def _copy(bench: Bench, payloads: list[bytes]) -> float:
    """Time that COPY takes for the same rows, in seconds, into a table like the registry's without its triggers."""
    rows = [orjson.loads(payload) for payload in payloads]
    with psycopg.connect(bench.database_url, autocommit=True) as connection:
        connection.execute("set search_path to model_registry")
        connection.execute("create table copied (like model_deployments including defaults)")
        began = time.perf_counter()
        columns = "node_id, provider_type, announced_model, status, vram_allocated_mb"
        with connection.cursor() as cursor, cursor.copy(f"copy copied ({columns}) from stdin") as copy:
            for row in rows:
                copy.write_row(
                    (row["node_id"], row["provider_type"], row["model_id"], row["status"], row["vram_allocated_mb"])
                )
        took = time.perf_counter() - began
        connection.execute("drop table copied")
    return took


async def _drained(bench: Bench, number: int) -> float:
    """Events per second until the registry has acknowledged everything in the stream."""
    began = time.perf_counter()
    async with _client(bench) as client:
        js = client.jetstream()
        await _caught_up(js)
    return number / (time.perf_counter() - began)


async def _caught_up(js: JetStreamContext) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < deadline:
        info = await js.consumer_info(STREAM, CONSUMER)
        if not info.num_pending and not info.num_ack_pending:
            return
        await asyncio.sleep(0.01)
    message = f"the registry has not caught up in {_PATIENCE_SECONDS} s"
    raise RuntimeError(message)


# Heartbeats ---------------------------------------------------------------------------------------------------------


def _heartbeats(bench: Bench, registry: Server, nodes: int) -> Row:
    seconds = bench.choose(20, 2)
    servers = [part.pid for part in (bench.stack.postgrest, bench.stack.nats) if part.pid is not None]

    def used() -> dict[str, float]:
        postgres = [p.pid for p in psutil.process_iter(["name"]) if p.info["name"] == "postgres"]
        return {
            "registry": registry.cpu_seconds(),
            "servers": sum(_cpu(pid) for pid in servers),
            "postgres": sum(_cpu(pid) for pid in postgres),
        }

    asyncio.run(_beat(bench, nodes, range(10), 2))  # the first one of each node is recorded completely
    bench.say(f"{nodes} nodes, a heartbeat each every 5 s")
    before = used()
    began = time.monotonic()
    asyncio.run(_beat(bench, nodes, range(10, 10 + seconds), seconds))
    wall = time.monotonic() - began
    shares = {name: round((now - before[name]) / wall, 4) for name, now in used().items()}
    goal = Goal("value", "at most", 0.1)
    return Row(f"heartbeats of {nodes} nodes", "cores", (shares["registry"],), goal=goal, more=shares)


async def _beat(bench: Bench, nodes: int, at: range, seconds: float) -> None:
    """A fifth of the nodes every second, evenly spread."""
    async with _client(bench) as client:
        began = time.monotonic()
        beats = [(second, node) for second in at for node in range(second % 5, nodes, 5)]
        for number, (second, node) in enumerate(beats):
            await client.publish(STATUS, fleet_events.heartbeat(node, second))
            ahead = number / len(beats) * seconds - (time.monotonic() - began)
            if ahead > 0.01:  # noqa: PLR2004 (sleeping for less is not worth it)
                await asyncio.sleep(ahead)
        await _caught_up(client.jetstream())


def _cpu(pid: int) -> float:
    try:
        times = psutil.Process(pid).cpu_times()
    except psutil.Error:
        return 0.0
    return times.user + times.system


# From publish to visible --------------------------------------------------------------------------------------------


def _visible(bench: Bench, other: Server) -> Iterator[Row]:
    """Measured on one of two replicas, either of which may record an event."""
    per_second, seconds = bench.choose((500, 6.0), (100, 1.0))
    for nodes in (*_FEWER, _NODES):
        bench.say(f"{per_second} events/s of {nodes} nodes")
        found = sorted(asyncio.run(_latencies(bench, other, nodes, per_second, seconds)))
        p50, p99 = statistics.median(found), found[len(found) * 99 // 100]
        name = f"publish to visible, {nodes} nodes"
        yield Row(f"{name}, p50", "ms", (p50,), goal=Goal("value", "at most", 50), more={"samples": len(found)})
        yield Row(f"{name}, p99", "ms", (p99,), goal=Goal("value", "at most", 250))


async def _latencies(bench: Bench, other: Server, nodes: int, per_second: int, seconds: float) -> list[float]:
    """Observes one event at a time, among all the others."""
    async with _client(bench) as client:
        publishing = asyncio.create_task(_steadily(client, nodes, per_second, seconds))
        found = []
        number = 0
        while not publishing.done():
            number += 1
            target = f"/api/deployments/probe-{nodes}/ollama/probe"
            payload = fleet_events.event(0, f"probe-{nodes}", "probe")
            said = orjson.loads(payload) | {"vram_allocated_mb": number, "status": "loaded", "ts": time.time()}
            began = time.perf_counter()
            await client.publish(LOADED, orjson.dumps(said))
            await client.flush()
            while not await asyncio.to_thread(_shows, other, target, number):
                if time.perf_counter() - began > _PATIENCE_SECONDS:
                    raise RuntimeError(target)
            found.append((time.perf_counter() - began) * 1000)
        await publishing
        return found


def _shows(server: Server, target: str, number: int) -> bool:
    try:
        answer = server.ask(target)
    except RuntimeError:  # 404, until it is there
        return False
    return bool(orjson.loads(answer.body)["vram_allocated_mb"] == number)


async def _steadily(client: Client, nodes: int, per_second: int, seconds: float) -> None:
    began = time.monotonic()
    for number, payload in enumerate(fleet_events.events(int(per_second * seconds), nodes)):
        await client.publish(LOADED, payload)
        ahead = number / per_second - (time.monotonic() - began)
        if ahead > 0:
            await asyncio.sleep(ahead)


# What all of them need ----------------------------------------------------------------------------------------------


@asynccontextmanager
async def _client(bench: Bench) -> AsyncIterator[Client]:
    client = await nats.connect(bench.stack.environment()["NATS_URL"])
    try:
        yield client
    finally:
        await client.close()


@contextmanager
def _stopped(server: Server) -> Iterator[None]:
    """A paused server."""
    os.kill(server.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(server.pid, signal.SIGCONT)
