"""An immutable table of rows with indexes. Making the next version costs the number of changes, not of rows."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from operator import itemgetter
from typing import Any, Generic, TypeVar

from immutables import Map

from model_registry.entities.base import Row

R = TypeVar("R", bound=Row)

Item = tuple[Any, ...]
"""A comparable value; no two are equal."""

Chunks = tuple[tuple[Item, ...], ...]
"""An immutable sorted sequence, no chunk empty: its next version shares all chunks but one.

A plain tuple would be copied as a whole for every change; a tree would be slower to iterate.
"""

SIZE = 256
"""Items of a new chunk; a chunk is split at twice this size. About the square root of the largest known tables."""

_first = itemgetter(0)


@dataclass(frozen=True, slots=True)
class TableSpec(Generic[R]):
    """Defines how a database table becomes a `Table`."""

    name: str
    row: type[R]
    sort_key: Callable[[R], tuple[Any, ...]]
    """The stable order of lists. Its last part must be unique."""
    indexes: Mapping[str, Callable[[R], Iterable[Hashable]]]
    rebuild_share: int = 8
    """When more than one in this number of rows moves at once, rebuilding the indexes is cheaper than patching them."""
    chunk_size: int = SIZE


_REMEMBERED = 100
"""Earlier versions that a table knows its differences from."""


class Table(Generic[R]):
    """Rows by id, in a stable order, with secondary indexes."""

    __slots__ = ("_indexes", "_order", "_past", "_rows", "spec", "stamp")

    def __init__(self, spec: TableSpec[R], rows: Map[str, R]) -> None:
        self.spec = spec
        self.stamp = object()
        """Identifies this version, so that caches need not keep the table itself."""
        self._past: tuple[tuple[object, tuple[str, ...]], ...] = ()
        """The stamps of earlier versions, newest last, each with the rows that changed after it."""
        self._rows = rows
        order = sorted(map(self._item, rows.values()))
        self._order = chunked(order, spec.chunk_size)
        self._indexes = {name: _built(keys, order, rows, spec.chunk_size) for name, keys in spec.indexes.items()}

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[R]:
        """Iterate over the rows in stable order."""
        rows = self._rows
        return (rows[row_id] for _, row_id in chain.from_iterable(self._order))

    def get(self, row_id: str | None) -> R | None:
        """Return the row with this id, or None."""
        return None if row_id is None else self._rows.get(row_id)

    def __getitem__(self, row_id: str) -> R:
        return self._rows[row_id]

    def where(self, index: str, key: Hashable) -> list[R]:
        """Return an index's rows under a key, in stable order."""
        rows = self._rows
        return [rows[row_id] for _, row_id in chain.from_iterable(self._indexes[index].get(key, ()))]

    def keys(self, index: str) -> Iterator[Hashable]:
        """Return the keys of an index that have rows."""
        return iter(self._indexes[index])

    def key_count(self, index: str) -> int:
        """Return how many keys of an index have rows."""
        return len(self._indexes[index])

    def changed(self, changes: Sequence[tuple[str, R | None]]) -> Table[R]:
        """Return the table after these changes: (id, new row), or (id, None) for a deletion."""
        with self._rows.mutate() as mutation:
            for row_id, row in changes:
                if row is not None:
                    mutation[row_id] = row
                elif row_id in mutation:
                    del mutation[row_id]
            rows = mutation.finish()
        steps = [
            _Step(old, self._item(old) if old else None, row, self._item(row) if row else None)
            for row_id, row in dict(changes).items()
            if self._moves(old := self._rows.get(row_id), row)
        ]
        if len(steps) * self.spec.rebuild_share > len(rows):
            return Table(self.spec, rows)
        table = Table.__new__(Table)
        table.spec, table.stamp, table._rows = self.spec, object(), rows  # noqa: SLF001 (our own class)
        # Of many changes nothing is kept: looking at all rows is as cheap.
        many = len(changes) * self.spec.rebuild_share > len(rows)
        change = (self.stamp, tuple(dict(changes)))
        table._past = () if many else (*self._past[1 - _REMEMBERED :], change)  # noqa: SLF001
        table._order = self._order  # noqa: SLF001
        for step in steps:
            table._order = step.applied(table._order, self.spec.chunk_size, old=True, new=True)  # noqa: SLF001
        table._indexes = {  # noqa: SLF001
            name: _patched(self._indexes[name], keys, steps, self.spec.chunk_size)
            for name, keys in self.spec.indexes.items()
        }
        return table

    def may_differ(self, other: Table[R]) -> set[str]:
        """Return the ids of all rows that are not the same in both, and of some that are.

        For versions of one table the cost is that of the changes between them, otherwise that of all rows.
        """
        mine, theirs = ((*table._past, (table.stamp, ())) for table in (self, other))  # noqa: SLF001
        known = {stamp: number for number, (stamp, _) in enumerate(theirs)}
        for number, (stamp, _) in reversed(list(enumerate(mine))):
            if stamp in known:  # the newest version that both come from
                return {row_id for _, ids in (*mine[number:], *theirs[known[stamp] :]) for row_id in ids}
        return {*self._rows, *other._rows}

    def _moves(self, old: R | None, new: R | None) -> bool:
        """Whether a row moves in the order or in an index. Most changes do not move it."""
        if old is None or new is None:
            return old is not new
        spec = self.spec
        return spec.sort_key(old) != spec.sort_key(new) or any(keys(old) != keys(new) for keys in spec.indexes.values())

    def _item(self, row: R) -> Item:
        """Return a row's item in the order and in the indexes."""
        return self.spec.sort_key(row), row.id


@dataclass(frozen=True, slots=True)
class _Step(Generic[R]):
    """A row and its item before and after a change."""

    old: R | None
    old_item: Item | None
    new: R | None
    new_item: Item | None

    def applied(self, chunks: Chunks, size: int, *, old: bool, new: bool) -> Chunks:
        """Update a sequence that contained the row before (`old`) and contains it afterwards (`new`)."""
        if old and new and self.old_item == self.new_item:
            return chunks
        if old and self.old_item is not None:
            chunks = removed(chunks, self.old_item)
        if new and self.new_item is not None:
            chunks = added(chunks, self.new_item, size)
        return chunks


def _built(
    keys: Callable[[R], Iterable[Hashable]], order: Sequence[Item], rows: Map[str, R], size: int
) -> Map[Hashable, Chunks]:
    lists: dict[Hashable, list[Item]] = {}
    for item in order:
        for key in keys(rows[item[1]]):
            lists.setdefault(key, []).append(item)
    return Map({key: chunked(items, size) for key, items in lists.items()})


def _patched(
    index: Map[Hashable, Chunks], keys: Callable[[R], Iterable[Hashable]], steps: Sequence[_Step[R]], size: int
) -> Map[Hashable, Chunks]:
    for step in steps:
        before = set(keys(step.old)) if step.old is not None else set()
        after = set(keys(step.new)) if step.new is not None else set()
        for key in before | after:
            was = index.get(key, ())
            now = step.applied(was, size, old=key in before, new=key in after)
            if now is not was:
                index = index.set(key, now) if now else index.delete(key)
    return index


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
