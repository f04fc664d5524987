"""Settings of the C library's allocator for the service."""

from __future__ import annotations

import ctypes
import os
from contextlib import suppress

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""As `mallopt(3)` numbers them."""
_BYTES = 128 * 1024


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
