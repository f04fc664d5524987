"""An immutable sorted sequence in chunks: its next version shares all chunks but one. Knows nothing about rows.

A plain tuple would be copied as a whole for every change; a tree would be slower to iterate.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from operator import itemgetter
from typing import Any

Item = tuple[Any, ...]
"""A comparable value; no two are equal."""

Chunks = tuple[tuple[Item, ...], ...]
"""Sorted, none empty. Iterate with `chain.from_iterable`."""

SIZE = 256
"""Items of a new chunk; a chunk is split at twice this size. About the square root of the largest known tables."""

_first = itemgetter(0)


def chunked(items: Sequence[Item], size: int = SIZE) -> Chunks:
    """Split sorted items into chunks."""
    return tuple(tuple(items[start : start + size]) for start in range(0, len(items), size))


def added(chunks: Chunks, item: Item, size: int = SIZE) -> Chunks:
    """Insert an item."""
    if not chunks:
        return ((item,),)
    number = _chunk_of(chunks, item)
    chunk = chunks[number]
    at = bisect_left(chunk, item)
    chunk = (*chunk[:at], item, *chunk[at:])
    halves = (chunk,) if len(chunk) < 2 * size else (chunk[:size], chunk[size:])
    return (*chunks[:number], *halves, *chunks[number + 1 :])


def removed(chunks: Chunks, item: Item) -> Chunks:
    """Remove an item that is present."""
    number = _chunk_of(chunks, item)
    chunk = chunks[number]
    at = bisect_left(chunk, item)
    rest = chunk[:at] + chunk[at + 1 :]
    return chunks[:number] + ((rest,) if rest else ()) + chunks[number + 1 :]


def _chunk_of(chunks: Chunks, item: Item) -> int:
    """Return the number of the chunk that the item belongs to."""
    return max(bisect_right(chunks, item, key=_first) - 1, 0)
