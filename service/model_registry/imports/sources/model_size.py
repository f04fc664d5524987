"""A model's size in words and in gigabytes: parameters as commonly written, and the memory that weights need."""

from __future__ import annotations

import math
import re

LARGEST = 5e13
"""Numbers above are mistakes: no model has as many parameters or bytes."""

_ROOM = 1.2
"""Factor for buffers and the cache of a short conversation. Long contexts need more."""

_SIZE = re.compile(r"(?<![A-Za-z0-9.])(\d+(?:\.\d+)?)([BM])(?![A-Za-z0-9])", re.IGNORECASE)
_EXPERTS = re.compile(r"(?<![A-Za-z0-9.])\d+E(?![A-Za-z0-9])", re.IGNORECASE)
_SCALE = {"K": 1e3, "M": 1e6, "B": 1e9, "T": 1e12}


def needed_gb(weights_bytes: float) -> float | None:
    """Return the GPU memory to run these weights, in GB (10^9 bytes), rounded up to a tenth; None for no weights."""
    return math.ceil(weights_bytes * _ROOM / 1e8) / 10 if 0 < weights_bytes < LARGEST else None


def parameters_text(count: float) -> str | None:
    """Abbreviate a number of parameters: 8190735360 is 8.2B; None for less than 1000."""
    if not count < LARGEST:
        return None
    for unit, scale in reversed(_SCALE.items()):
        if count >= scale:
            return f"{count / scale:.1f}".removesuffix(".0") + unit
    return None


def parameters_in(name: str) -> float | None:
    """Read the number of parameters from a model's name: Qwen3-30B-A3B has 30 billion.

    None where the name has a number of experts: Llama-4-Scout-17B-16E has 17 billion active ones, and many others.
    """
    match = _SIZE.search(name)
    return float(match[1]) * _SCALE[match[2].upper()] if match and not _EXPERTS.search(name) else None
