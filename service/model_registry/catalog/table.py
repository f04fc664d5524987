"""An immutable table of rows with indexes, whose next version costs what changed and not what it holds."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from immutables import Map

from model_registry.entities.base import Row

R = TypeVar("R", bound=Row)

_REBUILD_ABOVE = 64
"""More changes than this at once, and building the indexes anew is cheaper than patching them."""


@dataclass(frozen=True, slots=True)
class TableSpec(Generic[R]):
    """How a table of the database becomes a `Table`."""

    name: str
    row: type[R]
    sort_key: Callable[[R], tuple[Any, ...]]
    """The stable order of lists. Ends in something unique."""
    indexes: Mapping[str, Callable[[R], Iterable[Hashable]]]


class Table(Generic[R]):
    """Rows by id, in a stable order, with secondary indexes."""

    __slots__ = ("_indexes", "_order", "_rows", "spec", "stamp")

    def __init__(self, spec: TableSpec[R], rows: Map[str, R]) -> None:
        self.spec = spec
        self.stamp = object()
        """Tells this version from every other, for those who remember what they made of it but need not keep it."""
        self._rows = rows
        self._order = sorted((spec.sort_key(row), row.id) for row in rows.values())
        self._indexes = {name: _built(keys, self._order, rows) for name, keys in spec.indexes.items()}

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[R]:
        """The rows in their stable order."""
        rows = self._rows
        return (rows[row_id] for _, row_id in self._order)

    def get(self, row_id: str | None) -> R | None:
        """The row with this id, if there is one."""
        return None if row_id is None else self._rows.get(row_id)

    def __getitem__(self, row_id: str) -> R:
        return self._rows[row_id]

    def where(self, index: str, key: Hashable) -> list[R]:
        """The rows an index has under a key, in their stable order."""
        rows = [self._rows[row_id] for row_id in self._indexes[index].get(key, ())]
        if len(rows) > 1:
            rows.sort(key=self.spec.sort_key)
        return rows

    def keys(self, index: str) -> Iterator[Hashable]:
        """The keys an index has rows under."""
        return iter(self._indexes[index])

    def changed(self, changes: Sequence[tuple[str, R | None]]) -> Table[R]:
        """The table after these changes: (id, new row), or (id, None) for a deletion."""
        with self._rows.mutate() as mutation:
            for row_id, row in changes:
                if row is not None:
                    mutation[row_id] = row
                elif row_id in mutation:
                    del mutation[row_id]
            rows = mutation.finish()
        if len(changes) > _REBUILD_ABOVE:
            return Table(self.spec, rows)
        table = Table.__new__(Table)
        table.spec, table.stamp, table._rows = self.spec, object(), rows  # noqa: SLF001 (our own class)
        last = dict(changes)
        pairs = [(old, row) for row_id, row in last.items() if (old := self._rows.get(row_id)) or row]
        table._order = self._patched_order(pairs)  # noqa: SLF001
        table._indexes = {  # noqa: SLF001
            name: _patched(self._indexes[name], keys, pairs) for name, keys in self.spec.indexes.items()
        }
        return table

    def _patched_order(self, pairs: list[tuple[R | None, R | None]]) -> list[tuple[tuple[Any, ...], str]]:
        order = self._order.copy()
        for old, new in pairs:
            if old is not None:
                del order[bisect_left(order, (self.spec.sort_key(old), old.id))]
            if new is not None:
                insort(order, (self.spec.sort_key(new), new.id))
        return order


def _built(
    keys: Callable[[R], Iterable[Hashable]], order: list[tuple[tuple[Any, ...], str]], rows: Map[str, R]
) -> Map[Hashable, tuple[str, ...]]:
    lists: dict[Hashable, list[str]] = {}
    for _, row_id in order:
        for key in keys(rows[row_id]):
            lists.setdefault(key, []).append(row_id)
    return Map({key: tuple(ids) for key, ids in lists.items()})


def _patched(
    index: Map[Hashable, tuple[str, ...]],
    keys: Callable[[R], Iterable[Hashable]],
    pairs: list[tuple[R | None, R | None]],
) -> Map[Hashable, tuple[str, ...]]:
    for old, new in pairs:
        before = set(keys(old)) if old is not None else set()
        after = set(keys(new)) if new is not None else set()
        row_id = (old or new).id  # type: ignore[union-attr] # at least one of the two is there
        # Whole slices: every model may have the same capability, and then these are as long as the table.
        for key in before - after:
            ids = index[key]
            place = ids.index(row_id)
            left = ids[:place] + ids[place + 1 :]
            index = index.set(key, left) if left else index.delete(key)
        for key in after - before:
            index = index.set(key, index.get(key, ()) + (row_id,))  # noqa: RUF005 (a third of the time)
    return index
