"""A sorted sequence that never changes, in pieces: its next version shares all of them but one.

A plain tuple would be copied as a whole for every change; a tree would be slower to walk through.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from operator import itemgetter
from typing import Any

Item = tuple[Any, ...]
"""Something with an order; no two are equal."""

Chunks = tuple[tuple[Item, ...], ...]
"""In order, none empty. To be walked through with `chain.from_iterable`."""

SIZE = 256
"""Items of a new piece; one is split when it has twice as many. Near the root of the largest tables we know of."""

_first = itemgetter(0)


def chunked(items: Sequence[Item], size: int = SIZE) -> Chunks:
    """These items, which are in order already."""
    return tuple(tuple(items[start : start + size]) for start in range(0, len(items), size))


def added(chunks: Chunks, item: Item, size: int = SIZE) -> Chunks:
    """With one item more."""
    if not chunks:
        return ((item,),)
    place = _place(chunks, item)
    chunk = chunks[place]
    at = bisect_left(chunk, item)
    chunk = (*chunk[:at], item, *chunk[at:])
    halves = (chunk,) if len(chunk) < 2 * size else (chunk[:size], chunk[size:])
    return (*chunks[:place], *halves, *chunks[place + 1 :])


def removed(chunks: Chunks, item: Item) -> Chunks:
    """Without this item, which is there."""
    place = _place(chunks, item)
    chunk = chunks[place]
    at = bisect_left(chunk, item)
    rest = chunk[:at] + chunk[at + 1 :]
    return chunks[:place] + ((rest,) if rest else ()) + chunks[place + 1 :]


def _place(chunks: Chunks, item: Item) -> int:
    """The piece that the item is in, or belongs into."""
    return max(bisect_right(chunks, item, key=_first) - 1, 0)
