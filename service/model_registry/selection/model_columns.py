"""Columns: one value of every model, as lists. Updating them costs the number of changed models, not of all models."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, TypeVar

from model_registry.entities.model import Model

T = TypeVar("T")


class Columns:
    """Models in stable order, and the columns computed from them so far."""

    def __init__(self, rows: list[Model]) -> None:
        self.rows = rows
        self._kept: dict[Hashable, tuple[Callable[[Model], Any], list[Any]]] = {}

    def column(self, name: Hashable, read: Callable[[Model], T]) -> list[T]:
        """Return `read` of each model. It must be equal for equal rows; use few distinct names."""
        kept = self._kept.get(name)
        if kept is None:
            kept = self._kept[name] = (read, [read(row) for row in self.rows])
        return kept[1]

    def followed_by(self, rows: list[Model]) -> Columns:
        """Return the same columns for the next version, whose unchanged rows are the same objects."""
        following = Columns(rows)
        old = self.rows
        begin = _agreeing(old, rows)
        end = _agreeing(old[begin:][::-1], rows[begin:][::-1])
        positions = {id(row): position for position, row in enumerate(old[begin : len(old) - end], begin)}
        changed = rows[begin : len(rows) - end]
        sources = [positions.get(id(row)) for row in changed]
        for name, (read, column) in self._kept.items():
            between = [
                read(row) if source is None else column[source] for row, source in zip(changed, sources, strict=True)
            ]
            following._kept[name] = (read, column[:begin] + between + column[len(column) - end :])
        return following


def _agreeing(ones: list[Model], others: list[Model]) -> int:
    """Count the rows at the beginning that are the same objects."""
    position = -1
    for position, (one, other) in enumerate(zip(ones, others, strict=False)):
        if one is not other:
            return position
    return position + 1
