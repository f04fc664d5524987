"""Time from a write to the new bundle on a gateway's disk, delivered by `model-registry tensorzero sync`.

Compared with the time in which the gateway itself loads the same configuration, which is the lower limit of any check.
Run `python benchmarks/delivery.py [MODELS ...]`; callers that have a stack already use `measure`.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

import catalogue
import servers
from model_registry.devstack.embedded import EmbeddedStack
from model_registry.devstack.ports import LOOPBACK, choose_port
from model_registry.gateways.tensorzero.validation.gateway_process import GatewayProcess
from model_registry.store import migrations

SIZES = (100, 10_000)
GOALS_MS = {100: 300.0, 10_000: 1500.0}
_WRITES = {100: 20, 10_000: 5}
_PATIENCE_SECONDS = 120


@dataclass(frozen=True, slots=True)
class Delay:
    """The times for one size, in milliseconds."""

    models: int
    median_ms: float
    worst_ms: float
    gateway_ms: float
    """Time in which the gateway itself loads this configuration, in a warm process."""
    goal_ms: float

    def line(self) -> str:
        """As one line of a table."""
        return (
            f"{self.models:>7} models: write -> bundle on disk {self.median_ms:>7.0f} ms (worst {self.worst_ms:.0f}), "
            f"the gateway's own check {self.gateway_ms:>6.0f} ms, goal {self.goal_ms:.0f} ms"
        )


def measure(environment: Mapping[str, str], scratch: Path, models: int) -> Delay:
    """Fill the database, start a registry and an agent, and change one model."""
    ids = catalogue.fill(environment["DATABASE_URL"], models)
    out = scratch / f"out-{models}"
    port = choose_port(None, taken=set())
    url = f"http://{LOOPBACK}:{port}"
    own = {"MODEL_REGISTRY_API_KEY": servers.API_KEY, "MODEL_REGISTRY_CACHE_DIR": str(scratch / f"cache-{models}")}
    registry = [servers.COMMAND, "serve", "--port", str(port)]
    agent = [servers.COMMAND, "tensorzero", "sync", "--registry", url, "--out", str(out)]
    headers = {"Authorization": f"Bearer {servers.API_KEY}"}
    with (
        _running(registry, scratch / "registry.log", {**environment, **own}),
        _running(agent, scratch / "agent.log", {}),
        httpx.Client(base_url=url, headers=headers, trust_env=False, timeout=_PATIENCE_SECONDS) as client,
    ):
        _until(lambda: (out / "current").exists() and not client.get("/api/tensorzero/status").json()["pending"])
        took = [_one(client, out, ids[0], number) for number in range(_WRITES.get(models, 5))]
        gateway = _gateways_own(out / "current" / "tensorzero.toml")
    milliseconds = [seconds * 1000 for seconds in took]
    goal = GOALS_MS.get(models, GOALS_MS[10_000])
    return Delay(models, statistics.median(milliseconds), max(milliseconds), gateway * 1000, goal)


def _one(client: httpx.Client, out: Path, model: str, number: int) -> float:
    before = (out / "current").readlink()
    began = time.perf_counter()
    client.patch(f"/api/models/{model}", json={"model_id": f"changed-{number}"}).raise_for_status()
    _until(lambda: (out / "current").readlink() != before)
    took = time.perf_counter() - began
    if f"changed-{number}" not in (out / "current" / "tensorzero.toml").read_text("utf-8"):
        message = "another bundle arrived than the one that was waited for"
        raise RuntimeError(message)
    return took


def _gateways_own(config: Path) -> float:
    """The best of three in a warm process, without the registry's own checks."""
    with GatewayProcess() as judge:
        judge.load(config, _variables(config))
        times = []
        for _ in range(3):
            began = time.perf_counter()
            judge.load(config, _variables(config))
            times.append(time.perf_counter() - began)
    return min(times)


def _variables(config: Path) -> dict[str, str]:
    words = config.read_text("utf-8").split('"')
    return {word.removeprefix("env::"): "x" for word in words if word.startswith("env::")}


@contextmanager
def _running(argv: Sequence[str], log: Path, environment: Mapping[str, str]) -> Iterator[None]:
    with log.open("ab") as output:
        process = subprocess.Popen(argv, env={**os.environ, **environment}, stdout=output, stderr=output)
    try:
        yield
    finally:
        process.terminate()
        process.wait(_PATIENCE_SECONDS)


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            message = f"not so after {_PATIENCE_SECONDS} s"
            raise RuntimeError(message)
        time.sleep(0.002)


def main(sizes: Sequence[int]) -> None:
    """Start a stack, measure, print."""
    with tempfile.TemporaryDirectory(prefix="delivery-") as name:
        scratch = Path(name)
        scratch.chmod(0o755)

        def prepare(url: str) -> None:
            migrations.migrate(url, catalogue.SCHEMA)

        with EmbeddedStack(scratch / "data", prepare=prepare, durable=False) as stack:
            for models in sizes:
                sys.stdout.write(measure(stack.environment(), scratch, models).line() + "\n")
                sys.stdout.flush()


if __name__ == "__main__":
    main([int(size) for size in sys.argv[1:]] or SIZES)
