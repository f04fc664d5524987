"""Estimates the GPU memory that a model needs. Values are marked as estimates wherever they are written."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

BYTES = {
    "F64": 8.0,
    "F32": 4.0,
    "F16": 2.0,
    "BF16": 2.0,
    "I64": 8.0,
    "I32": 4.0,
    "I16": 2.0,
    "I8": 1.0,
    "U8": 1.0,
    "BOOL": 1.0,
    "F8_E4M3": 1.0,
    "F8_E5M2": 1.0,
    "F8_E8M0": 1.0,
    "F4": 0.5,
}
"""Bytes of one number, by the names of the safetensors format."""

_ROOM = 1.2
"""Factor for buffers and the cache of a short conversation. Long contexts need more."""

_SIZE = re.compile(r"(?<![A-Za-z0-9.])(\d+(?:\.\d+)?)([BM])(?![A-Za-z0-9])", re.IGNORECASE)
_SCALE = {"K": 1e3, "M": 1e6, "B": 1e9, "T": 1e12}


def needed_gb(weights_bytes: float) -> float | None:
    """Return the GPU memory to run these weights, in GB (10^9 bytes), rounded up to a tenth; None for no weights."""
    return math.ceil(weights_bytes * _ROOM / 1e8) / 10 if weights_bytes > 0 else None


def stored_bytes(numbers: Mapping[str, object]) -> float | None:
    """Return the size of weights from the count of numbers of each type; None where a type is unknown."""
    total = 0.0
    for dtype, count in numbers.items():
        if dtype not in BYTES or not isinstance(count, int):
            return None
        total += BYTES[dtype] * count
    return total or None


def parameters_text(count: float) -> str | None:
    """Abbreviate a number of parameters: 8190735360 is 8.2B; None for less than 1000."""
    for unit, scale in reversed(_SCALE.items()):
        if count >= scale:
            return f"{count / scale:.1f}".removesuffix(".0") + unit
    return None


def parameters_in(name: str) -> float | None:
    """Read the number of parameters from a model's name: Qwen3-30B-A3B has 30 billion."""
    match = _SIZE.search(name)
    return float(match[1]) * _SCALE[match[2].upper()] if match else None
