"""Reads the Hub's counts of the numbers in safetensors files: what they can mean as parameters and as bytes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from model_registry.imports.sources.quantization import Layout, Quantization

BYTES = {
    **dict.fromkeys(("F64", "I64", "U64", "C64"), 8.0),
    **dict.fromkeys(("F32", "I32", "U32"), 4.0),
    **dict.fromkeys(("F16", "BF16", "I16", "U16"), 2.0),
    **dict.fromkeys(("I8", "U8", "BOOL", "F8_E4M3", "F8_E5M2", "F8_E4M3FNUZ", "F8_E5M2FNUZ"), 1.0),
    **dict.fromkeys(("F8_E8M0", "E8M0", "UE8"), 1.0),
    **dict.fromkeys(("F6_E2M3", "F6_E3M2"), 0.75),
    **dict.fromkeys(("F4", "FP4"), 0.5),
}
"""Bytes of one number, by the names of the safetensors format."""

_NO_WEIGHTS = frozenset({"I64", "U64", "BOOL", "F8_E8M0", "E8M0", "UE8"})
"""Types of positions, masks and scales, never of weights."""
_PACKED = frozenset({"I32", "U32", "U8", "I8", "I16", "U16"})
_MANY_PACKED = 0.1
"""Share of numbers of packed types from which a repository that states no quantization has packed weights."""

_MXFP4 = 1 / 2 + 1 / 32
SAME = 1.05
"""Largest ratio of two numbers that are the same but for rounding and what is counted with it."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One way to understand the Hub's counts."""

    parameters: float | None
    bytes: float | None


def readings(counts: Mapping[str, float], total: float | None, quantization: Quantization | None) -> Iterator[Reading]:
    """Yield the ways to understand counts of numbers by type, beside their stated total."""
    size = stored_bytes(counts)
    packed = sum(n for dtype, n in counts.items() if dtype in _PACKED)
    plain = sum(n for dtype, n in counts.items() if dtype not in _NO_WEIGHTS)
    layout = quantization.layout if quantization else None
    if layout is None and (quantization is None or quantization.bits is None) and packed > _MANY_PACKED * plain:
        layout = Layout(_PACKED, 0)
    if layout is not None:
        yield from _packed_readings(counts, layout, size)
        return
    yield Reading(plain or None, size)
    whole = sum(counts.values())
    if total and not agree(total, whole, SAME):
        yield Reading(total, size / whole * total if size else None)


def _packed_readings(counts: Mapping[str, float], layout: Layout, size: float | None) -> Iterator[Reading]:
    """Yield what the counts mean as numbers in the files, and as weights."""
    held = sum(n for dtype, n in counts.items() if dtype in layout.containers)
    others = {d: n for d, n in counts.items() if d not in layout.containers}
    plain = sum(n for dtype, n in others.items() if dtype not in _NO_WEIGHTS)
    if not held:
        yield Reading(plain or None, size)
        return
    if not layout.numbers:
        yield Reading(None, size)
        return
    weights = held / layout.numbers
    yield Reading(weights + max(plain - weights * layout.scales, 0), size)
    if not layout.is_counted:
        return
    width = next(BYTES[dtype] for dtype in counts if dtype in layout.containers)
    rest = stored_bytes(others) or 0.0
    one = layout.numbers * width + layout.scales * layout.scale_bytes
    # Some counts have MXFP4's scales among the weights, one for 32.
    if layout.containers == {"U8"} and layout.numbers == _MXFP4 and held % 33 == 0:
        held = held / 33 * 32
    yield Reading(held + plain, held * one + rest)


def stored_bytes(numbers: Mapping[str, object]) -> float | None:
    """Return the size of weights from the count of numbers of each type; None where a type is unknown."""
    total = 0.0
    for dtype, count in numbers.items():
        if dtype not in BYTES or not isinstance(count, int | float):
            return None
        total += BYTES[dtype] * count
    return total or None


def ratio(one: float, other: float) -> float:
    """Divide the larger by the smaller."""
    return max(one / other, other / one) if one > 0 and other > 0 else math.inf


def agree(one: float, other: float, most: float) -> bool:
    """Whether two numbers differ by this factor at most."""
    return ratio(one, other) <= most


def all_agree(readings: Iterable[Reading]) -> bool:
    """Whether it makes no difference which of these readings is right."""
    first, *others = readings
    return all(
        a is not None and b is not None and agree(a, b, SAME)
        for other in others
        for a, b in ((first.parameters, other.parameters), (first.bytes, other.bytes))
    )
