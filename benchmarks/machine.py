"""Describes the machine of a measurement, and the load from other programs: without them figures cannot be compared."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from time import monotonic
from typing import Any

import psutil

_PACKAGES = ("fastapi", "uvicorn", "uvloop", "httptools", "pydantic", "orjson", "httpx")


def description() -> dict[str, Any]:
    """Processor, memory and versions, for comparing the figures of two machines."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "load_average": [round(load, 2) for load in os.getloadavg()],
        **{package: metadata.version(package) for package in _PACKAGES},
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


class Others:
    """Processor time used by other programs between two times."""

    def __init__(self) -> None:
        self.cores = 0.0
        """Average number of cores used, including those that the hypervisor gave to other machines."""


@contextmanager
def others() -> Iterator[Others]:
    """Observe the whole machine during a measurement."""
    found = Others()
    began, busy, ours = monotonic(), _busy_seconds(), _our_seconds()
    yield found
    wall = monotonic() - began
    foreign = (_busy_seconds() - busy) - (_our_seconds() - ours)
    found.cores = max(0.0, foreign / wall) if wall > 0 else 0.0


def _busy_seconds() -> float:
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - getattr(times, "iowait", 0.0) - getattr(times, "guest", 0.0))


def _our_seconds() -> float:
    """Processor time of this process and its descendants; ended children count with the one that waited for them."""
    total = 0.0
    for process in (psutil.Process(), *psutil.Process().children(recursive=True)):
        try:
            times = process.cpu_times()
        except psutil.Error:
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return total
