"""The machine that the figures are of, and how much of it other programs took. Figures without that are gossip."""

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
    """Processor, memory, versions: what to know before comparing figures of two machines."""
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
    """What programs that are not ours did to the processor between two moments."""

    def __init__(self) -> None:
        self.cores = 0.0
        """Cores' worth, on average; what the hypervisor took for other machines counts too."""


@contextmanager
def others() -> Iterator[Others]:
    """Watch the whole machine while something is measured."""
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
    """What this process and everything it started has used; children that ended count with who waited for them."""
    total = 0.0
    for process in (psutil.Process(), *psutil.Process().children(recursive=True)):
        try:
            times = process.cpu_times()
        except psutil.Error:
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return total
