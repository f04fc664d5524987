"""One value of every model, as lists. The next version of the models costs what changed, not what there is."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, TypeVar

from model_registry.entities.model import Model

T = TypeVar("T")


class Columns:
    """Models in their stable order, and what was asked about each of them."""

    def __init__(self, rows: list[Model]) -> None:
        self.rows = rows
        self._kept: dict[Hashable, tuple[Callable[[Model], Any], list[Any]]] = {}

    def column(self, name: Hashable, read: Callable[[Model], T]) -> list[T]:
        """What `read` says of each model. It must say the same of equal rows; `name` must be one of few."""
        found = self._kept.get(name)
        if found is None:
            found = self._kept[name] = (read, [read(row) for row in self.rows])
        return found[1]

    def followed_by(self, rows: list[Model]) -> Columns:
        """The same columns of the next version, whose unchanged rows are the same objects."""
        following = Columns(rows)
        old = self.rows
        begin = _agreeing(old, rows)
        end = _agreeing(old[begin:][::-1], rows[begin:][::-1])
        places = {id(row): place for place, row in enumerate(old[begin : len(old) - end], begin)}
        changed = rows[begin : len(rows) - end]
        sources = [places.get(id(row)) for row in changed]
        for name, (read, column) in self._kept.items():
            between = [
                read(row) if source is None else column[source] for row, source in zip(changed, sources, strict=True)
            ]
            following._kept[name] = (read, column[:begin] + between + column[len(column) - end :])
        return following


def _agreeing(ones: list[Model], others: list[Model]) -> int:
    """How many rows at the beginning are the same objects."""
    place = -1
    for place, (one, other) in enumerate(zip(ones, others, strict=False)):
        if one is not other:
            return place
    return place + 1
