"""What `serve` and `up` set for the process of the service: memory, open files, threads, and a bound on its end."""

from __future__ import annotations

import ctypes
import os
import resource
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from model_registry.api.http_protocol import Arrivals

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""As `mallopt(3)` numbers them."""
_BYTES = 128 * 1024
_OWN_FILES = 112
"""Connections to the database and NATS, logs, snapshots, children, and connections being refused."""
_FEWEST = 8
_MOST_OF_IT = 0.9
"""Share of the shutdown time to wait for a regular end."""


def give_back_freed_memory() -> None:
    """Return large blocks of memory to the system when they are freed, and the end of the heap too.

    glibc permanently raises both thresholds when a large block is freed, up to 32 MB. With a catalogue of 10,000
    models, whose lists and configurations take megabytes each, that wasted 90 MB. If the environment configures
    malloc, or there is no glibc, nothing is changed.
    """
    if any(name.startswith("MALLOC_") for name in os.environ) or "GLIBC_TUNABLES" in os.environ:
        return
    with suppress(OSError, AttributeError):  # another C library
        mallopt = ctypes.CDLL("libc.so.6").mallopt
        mallopt(_TRIM_THRESHOLD, _BYTES)
        mallopt(_MMAP_THRESHOLD, _BYTES)


def arrivals_of(app: ASGIApp, most: int) -> Arrivals:
    """Limits on this process's connections. Raises its limit of open files as far as permitted."""
    from model_registry.api.http_protocol import Arrivals

    state: Any = getattr(getattr(app, "state", None), "service", None)
    refused = state.metrics.refused if state is not None else (lambda _reason: None)
    return Arrivals(max(_FEWEST, min(most, _open_files(most + _OWN_FILES) - _OWN_FILES)), refused=refused)


def _open_files(wanted: int) -> int:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return soft


class AbandonedThreads(ThreadPoolExecutor):
    """The threads of `asyncio.to_thread`. The end of the loop does not wait for running work, however long it takes."""

    def __init__(self) -> None:
        super().__init__(thread_name_prefix="registry")

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: ARG002 (theirs)
        """Start no further work."""
        super().shutdown(wait=False, cancel_futures=True)


_stopping = threading.Event()


def end_in_time(seconds: float) -> None:
    """End the process within this many seconds, whatever still runs in it."""
    if _stopping.is_set():
        return
    _stopping.set()
    threading.Thread(target=_end, args=(seconds * _MOST_OF_IT,), name="end", daemon=True).start()


def _end(seconds: float) -> None:
    import structlog

    time.sleep(seconds)
    structlog.get_logger(__name__).error("a part of the service did not stop in time; the process ends without it")
    sys.stdout.flush()
    # No atexit, no joining of threads: one of them is stuck. Nothing is lost: acknowledged writes are in the database,
    # and the snapshot on disk is replaced atomically.
    os._exit(0)
