"""Time from `model-registry up` until it is ready, in a new directory and at the second start there."""

from __future__ import annotations

import itertools
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from bench import Bench, milliseconds
from model_registry.devstack.postgres import Postgres
from report import Row
from servers import COMMAND, surroundings


def measure(bench: Bench) -> Iterator[Row]:
    """Measure both starts, beside the same starts of Postgres alone."""
    numbers = itertools.count()

    def one_round() -> tuple[float, ...]:
        number = next(numbers)
        home, alone = bench.scratch / f"up-{number}", bench.scratch / f"postgres-{number}"
        alone.mkdir()
        return _up(home), _up(home), _postgres(alone), _postgres(alone)

    found, foreign = bench.rounds("model-registry up, twice", bench.choose(3, 1), one_round)
    fresh, again, postgres_fresh, postgres_again = zip(*found, strict=True)
    beside = "Postgres alone"
    yield Row("model-registry up, first start", "s", fresh, beside, postgres_fresh, foreign=foreign)
    yield Row("model-registry up, second start", "s", again, beside, postgres_again, foreign=foreign)


def _up(home: Path) -> float:
    """Seconds until it prints that it is ready."""
    began = time.perf_counter()
    argv = [COMMAND, "up", "--data-dir", str(home), "--port", "0"]
    with subprocess.Popen(argv, env=surroundings(), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None  # noqa: S101 (it is a pipe)
        said = []
        for line in process.stdout:
            said.append(line)
            if line.startswith("ready"):
                break
        else:
            message = "it ended before it was ready:\n" + "".join(said)
            raise RuntimeError(message)
        took = time.perf_counter() - began
        process.send_signal(signal.SIGTERM)
        process.stdout.read()
    return took


def _postgres(home: Path) -> float:
    part = Postgres(home / "data", home / "log")
    try:
        return milliseconds(part.start) / 1000
    finally:
        part.stop()
