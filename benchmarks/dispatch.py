"""Dispatched requests beside direct ones to the same upstream, and beside nginx, LiteLLM's proxy and SMG.

All features are on: keys, health checks, breakers, limits, trace headers, metrics. The upstream computes nothing
(`upstream.py`), so what is measured is what is added. The bare proxy is the limit: Python that passes requests on and
does nothing else. LiteLLM and SMG take requests for language models alone; nginx
takes any, and knows nothing of what it sends on.
"""

from __future__ import annotations

import base64
import http.client
import itertools
import json
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import load
import peers
from bench import Bench
from model_registry.devstack.ports import LOOPBACK
from report import Goal, Row
from servers import API_KEY, Server, process
from upstream import MODEL

_ADDED = Goal("value", "at most", 0.6)
_COMPUTING = Goal("value", "at most", 400)
_OF_DIRECT = Goal("ratio", "at least", 0.30)
_LATER = Goal("value", "at most", 1)
_GROWTH = Goal("value", "at most", 32)
_READS = Goal("ratio", "at least", 0.8)

_CLIENTS = 16
_BESIDE_READS = 200
"""Dispatched requests a second while reads are measured: half a core would leave reads half of theirs."""
_GENERAL = "/dispatch/lstm/prediction"

_PREDICT = json.dumps({"model_type": "lstm", "data": [0.5, 0.25, 0.125]}).encode()
_CHAT = json.dumps({"model": MODEL, "messages": [{"role": "user", "content": "Is it fast?"}]}).encode()


@dataclass(frozen=True, slots=True)
class Way:
    """A way to the upstream."""

    name: str
    server: Server


def measure(bench: Bench) -> Iterator[Row]:
    """Measure predictions and completions one by one and at once, streams, large bodies, and reads beside them."""
    bench.fill(bench.choose(1_000, 100))
    with ExitStack() as exits:
        upstream = exits.enter_context(peers.upstream(bench.scratch))
        registry = exits.enter_context(bench.registry())
        registry.headers["Authorization"] = f"Bearer {API_KEY}"
        registry.settle()
        _register(registry, upstream)
        _settle(registry)
        ours, direct = Way("registry", registry), Way("direct", upstream)
        beside = [direct, *_started(bench, exits, upstream, [("bare proxy", peers.bare_proxy), ("nginx", peers.nginx)])]
        yield from _small(bench, "POST /predict", _PREDICT, [ours, *beside])
        yield from _events(bench, [ours, *beside])
        yield from _large(bench, ours, direct)
        yield _reads(bench, registry)
        named = [("SMG", peers.smg), ("LiteLLM", peers.litellm)]
        beside = [direct, *_started(bench, exits, upstream, named)]
        yield from _small(bench, "POST /v1/chat/completions", _CHAT, [ours, *beside])


def _register(registry: Server, upstream: Server) -> None:
    """Make the upstream a model service, and a provider with one model."""
    address = f"http://{LOOPBACK}:{upstream.port}"
    registry.post(
        "/services/register",
        {"service_id": "bench", "service_url": address, "model_type": "lstm", "capabilities": ["prediction"]},
    )
    provider = registry.post(
        "/api/providers", {"name": "bench", "type": "openai_compatible", "api_base": f"{address}/v1"}
    )
    registry.post("/api/models", {"provider_id": provider["id"], "name": MODEL, "model_id": MODEL})


def _settle(registry: Server) -> None:
    """Return when the configuration with the model has been validated: until then the registry is busy with it."""
    deadline = time.monotonic() + 180
    while MODEL.encode() not in registry.ask("/api/tensorzero/config").body:
        if time.monotonic() > deadline:
            raise RuntimeError("the configuration with the new model was not published")
        time.sleep(0.2)


def _started(bench: Bench, exits: ExitStack, upstream: Server, named: Sequence[tuple[str, peers.Peer]]) -> list[Way]:
    found = []
    for name, start in named:
        bench.say(f"starting {name}")
        try:
            found.append(Way(name, exits.enter_context(start(bench.scratch, upstream.port))))
        except peers.NotInstalled as error:
            bench.notes.append(str(error))
    return found


def _small(bench: Bench, request: str, body: bytes, ways: list[Way]) -> Iterator[Row]:
    """Small requests: time added with one client, requests a second and computing with several."""
    method, target = request.split()
    one = _rounds(bench, f"{request}, one client", ways, _load(method, target, body, 1, bench.choose(1.5, 0.2)))
    added = [[way.load.p50_ms - turn[1].load.p50_ms for way in turn] for turn in one.turns]
    for place, way in enumerate(ways[2:] or ways[1:2], start=2):
        there = tuple(turn[place] for turn in added) if ways[2:] else ()
        mine = tuple(turn[0] for turn in added)
        yield Row(f"{request}, one client: added p50", "ms", mine, way.name, there, _ADDED, one.foreign)
    many = _rounds(
        bench, f"{request}, {_CLIENTS} clients", ways, _load(method, target, body, _CLIENTS, bench.choose(1.5, 0.2))
    )
    columns = list(zip(*many.turns, strict=True))
    rates = [tuple(turn.load.per_second for turn in column) for column in columns]
    cpus = [tuple(turn.cpu_us for turn in column) for column in columns]
    for way, rate in zip(ways[1:], rates[1:], strict=True):
        goal = _OF_DIRECT if way.name == "direct" else None
        yield Row(f"{request}, {_CLIENTS} clients", "/s", rates[0], way.name, rate, goal, many.foreign)
    for way, cpu in zip(ways[1:], cpus[1:], strict=True):
        yield Row(f"{request}: computing", "us", cpus[0], way.name, cpu, _COMPUTING, many.foreign)


@dataclass(frozen=True, slots=True)
class Turn:
    """One way's result in a round."""

    load: load.Load
    cpu_us: float
    """Processor time per request of the process that was asked."""


@dataclass(frozen=True, slots=True)
class Rounds:
    """Every round, way by way."""

    turns: list[list[Turn]]
    foreign: float


def _load(method: str, target: str, body: bytes, clients: int, seconds: float) -> Callable[[Way], Turn]:
    def one(way: Way) -> Turn:
        headers = {"Content-Type": "application/json", **way.server.headers}
        requests = itertools.repeat(load.request(method, target, headers, body))
        before = way.server.cpu_seconds()
        found = load.run(way.server.port, requests, connections=clients, seconds=seconds, status=200)
        return Turn(found, (way.server.cpu_seconds() - before) / (found.per_second * seconds) * 1e6)

    return one


def _rounds(bench: Bench, name: str, ways: list[Way], turn: Callable[[Way], Turn]) -> Rounds:
    for way in ways:
        turn(way)  # to warm up
    return Rounds(*bench.rounds(name, bench.choose(7, 2), lambda: [turn(way) for way in ways]))


def _events(bench: Bench, ways: list[Way]) -> Iterator[Row]:
    """From the moment an event is sent to when it is received; what is added to the direct way."""
    number = bench.choose(200, 20)

    def delay(way: Way) -> float:
        prefix = _GENERAL if way.name == "registry" else ""
        response = _open(way.server, "GET", f"{prefix}/events/{number}")
        lines = (line for line in response if line.startswith(b"data: "))
        return statistics.median((time.monotonic_ns() - int(line[6:])) / 1e6 for line in lines)

    found, foreign = bench.rounds("server-sent events", bench.choose(5, 2), lambda: [delay(way) for way in ways])
    added = [tuple(turn[place] - turn[1] for turn in found) for place in range(len(ways))]
    there = (ways[2].name, added[2]) if ways[2:] else ("", ())
    yield Row("a streamed event: later by (p50)", "ms", added[0], *there, _LATER, foreign)


def _large(bench: Bench, ours: Way, direct: Way) -> Iterator[Row]:
    """A body of a gigabyte each way: how much the process grows, and how quickly it passes."""
    size = bench.choose(10**9, 10**7)
    for name, transfer in (("down", _download), ("up", _upload)):
        bench.say(f"{size / 1e9:g} GB {name}")
        before = ours.server.rss_mb()
        with _peak(ours.server) as peak:
            rate = transfer(ours.server, f"{_GENERAL}", size)
        plain = transfer(direct.server, "", size)
        yield Row(
            f"memory that a body of {size / 1e9:g} GB takes, {name}", "MB", (max(0.1, peak[0] - before),), goal=_GROWTH
        )
        yield Row(f"a body of {size / 1e9:g} GB, {name}", "MB/s", (rate,), "direct", (plain,))


def _download(server: Server, prefix: str, size: int) -> float:
    began, left = time.perf_counter(), size
    response = _open(server, "GET", f"{prefix}/bytes/{size}")
    while piece := response.read(2**20):
        left -= len(piece)
    if left:
        raise RuntimeError(f"{left} bytes of {size} are missing")
    return size / 1e6 / (time.perf_counter() - began)


def _upload(server: Server, prefix: str, size: int) -> float:
    began, piece = time.perf_counter(), bytes(2**18)
    pieces = (piece[: min(len(piece), size - sent)] for sent in range(0, size, len(piece)))
    response = _open(server, "POST", f"{prefix}/received", pieces, {"Content-Length": str(size)})
    if json.load(response) != {"received": size}:
        raise RuntimeError(f"not all of {size} bytes arrived")
    return size / 1e6 / (time.perf_counter() - began)


def _open(
    server: Server, method: str, target: str, body: Iterator[bytes] | None = None, more: dict[str, str] | None = None
) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection(LOOPBACK, server.port, timeout=600)
    connection.request(method, target, body, {**server.headers, **(more or {})})
    response = connection.getresponse()
    if response.status != 200:  # noqa: PLR2004
        raise RuntimeError(f"{method} {target}: {response.status} {response.read(500)!r}")
    return response


@contextmanager
def _peak(server: Server) -> Iterator[list[float]]:
    """The most memory that the process has meanwhile, looked at a hundred times a second."""
    most, over = [server.rss_mb()], threading.Event()

    def look() -> None:
        while not over.wait(0.01):
            most[0] = max(most[0], server.rss_mb())

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield most
    finally:
        over.set()
        thread.join()


def _reads(bench: Bench, registry: Server) -> Row:
    """Reads of the catalogue, alone and while other callers dispatch."""
    request = load.request("GET", "/api/models?limit=50", registry.headers)
    seconds = bench.choose(1.5, 0.2)

    def reads() -> float:
        requests = itertools.repeat(request)
        return load.run(registry.port, requests, connections=_CLIENTS, seconds=seconds, status=200).per_second

    def one_round() -> tuple[float, float]:
        alone = reads()
        with _dispatching(bench, registry):
            return reads(), alone

    reads()
    found, foreign = bench.rounds("reads beside dispatch", bench.choose(7, 2), one_round)
    beside, alone = zip(*found, strict=True)
    what = f"GET /api/models?limit=50 beside {_BESIDE_READS} dispatched requests/s"
    return Row(what, "/s", beside, "without them", alone, _READS, foreign)


@contextmanager
def _dispatching(bench: Bench, registry: Server) -> Iterator[None]:
    """Predictions at a steady rate. Errors: RuntimeError when they were not answered."""
    headers = {"Content-Type": "application/json", **registry.headers}
    request = base64.b64encode(load.request("POST", "/predict", headers, _PREDICT)).decode()
    argv = [sys.executable, str(Path(__file__).with_name("steady.py")), str(registry.port), str(_BESIDE_READS), request]
    with process(argv, bench.scratch / "steady.log", {}) as started:
        time.sleep(1)  # until it has begun
        yield
        if started.poll() is not None:
            raise RuntimeError((bench.scratch / "steady.log").read_text()[-500:])
