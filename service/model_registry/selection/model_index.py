"""Indexes models for filters, selection and costs: by value, and by number.

A set of models is a `Mask`: union, intersection and count of thousands of models take one operation each.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from functools import lru_cache
from itertools import compress
from typing import Any, TypeVar

from model_registry.entities.model import OFFERED_STATUSES, Model, canonical
from model_registry.entities.prices import PLAIN
from model_registry.selection.model_numbers import reader
from model_registry.snapshot.snapshot import Snapshot

T = TypeVar("T")

Mask = int
"""One byte per model, 0 or 1, in the models' stable order."""

MADE_OF = ("models", "model_providers", "model_aliases")
"""The tables that an index depends on. It stays valid until one of them changes."""

_PRICES = frozenset(PLAIN.values())

_MASKS = 256
_RECENT = 16


@lru_cache(maxsize=2**12)  # few distinct sets, each shared by thousands of models
def _canonical(tags: tuple[str, ...]) -> frozenset[str]:
    return frozenset(map(canonical, tags))


@lru_cache(maxsize=2**12)
def _shared(words: frozenset[str]) -> frozenset[str]:
    return words


def _word(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _words(value: object) -> frozenset[str]:
    """Return the strings in a list, or the keys of an object. Rows written in SQL may hold any JSON."""
    if not isinstance(value, list | dict):
        return frozenset()
    return _shared(frozenset(word for word in value if isinstance(word, str)))


_ONE: dict[str, Callable[[Model], str | None]] = {
    "name": lambda m: m.name,
    "model_id": lambda m: m.model_id,
    "provider": lambda m: m.provider_id,
    "model_type": lambda m: m.model_type,
    "status": lambda m: m.status,
    "category": lambda m: _word(m.card.get("category")),
    "framework": lambda m: _word(m.card.get("framework")),
}
"""Fields to look models up by, with one value per model."""

_MANY: dict[str, Callable[[Model], frozenset[str]]] = {
    "capability": lambda m: _canonical(tuple(m.capabilities)),
    "tag": lambda m: _words(m.card.get("tags")),
    "task_type": lambda m: _words(m.card.get("task_types")),
    "benchmark": lambda m: _words(m.card.get("benchmarks")),
}
"""Fields to look models up by, with several values per model."""


class ModelIndex:
    """The models of one snapshot. Each part is computed on first use."""

    def __init__(self, snapshot: Snapshot, before: ModelIndex | None = None) -> None:
        """Index the models, reusing unchanged parts of the index before."""
        self.providers = snapshot.providers
        self.aliases = snapshot.aliases
        self.models = snapshot.models
        if before is None:
            self.columns = Columns(list(snapshot.models))
        elif before.models is snapshot.models:
            self.columns = before.columns
        else:
            self.columns = before.columns.followed_by(list(snapshot.models))
        self.rows = self.columns.rows
        self.everything = self.mask([True] * len(self.rows))
        self._made: dict[Hashable, Any] = {}
        self._recent: dict[Hashable, Any] = {}
        self._masks: dict[Hashable, Mask] = {}

    def memo(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return a cached result, kept as long as the index. Use few distinct keys."""
        return _cached(self._made, key, make)

    def memo_lru(self, key: Hashable, make: Callable[[], T]) -> T:
        """Do the same for keys that callers choose freely: only the newest are kept."""
        return _cached(self._recent, key, make, _RECENT)

    def mask(self, flags: Sequence[bool]) -> Mask:
        """Return the models whose flag is set; one flag per model."""
        return int.from_bytes(bytes(flags), "little")

    def keys(self, field: str) -> frozenset[str]:
        """Return all values of a field over all models, such as their capabilities."""
        return self.memo(("keys", field), lambda: self._keys(field))

    def where(self, field: str, *keys: str) -> Mask:
        """Return the models that have one of these values in a field."""
        known = self.keys(field).intersection(keys)
        if not known:
            return 0
        return _cached(self._masks, (field, known), lambda: self._having(field, known), _MASKS)

    def _keys(self, field: str) -> frozenset[str]:
        if field in _ONE:
            return frozenset(key for key in set(self.columns.column(field, _ONE[field])) if key is not None)
        return frozenset[str]().union(*set(self.columns.column(field, _MANY[field])))

    def _having(self, field: str, allowed: frozenset[str]) -> Mask:
        if field in _ONE:
            return self.mask([value in allowed for value in self.columns.column(field, _ONE[field])])
        return self.mask([not allowed.isdisjoint(values) for values in self.columns.column(field, _MANY[field])])

    def numbers(self, name: str) -> list[float]:
        """Return one number of each model; `UNKNOWN` where unknown. A price that a free provider leaves out is 0."""
        column = self.columns.column(("number", name), reader(name))
        if name not in _PRICES or not self.free():
            return column
        return self.memo(
            ("number", name),
            lambda: [
                0.0 if gratis and value != value else value  # noqa: PLR0124 (NaN: unknown)
                for value, gratis in zip(column, self.flags(self.free()), strict=True)
            ],
        )

    def known(self, name: str) -> Mask:
        """Return the models with a known number."""
        return self.memo(("known", name), lambda: self.mask([n == n for n in self.numbers(name)]))  # noqa: PLR0124 (NaN: unknown)

    def at_most(self, name: str, limit: float) -> Mask:
        """Return the models whose number is known and at most `limit`."""
        return self.mask([number <= limit for number in self.numbers(name)])

    def at_least(self, name: str, limit: float) -> Mask:
        """Return the models whose number is known and at least `limit`."""
        return self.mask([number >= limit for number in self.numbers(name)])

    def enabled(self) -> Mask:
        """Return the active models of active providers."""
        providers = [provider.id for provider in self.providers if provider.active]
        return self.memo("enabled", lambda: self.active() & self.where("provider", *providers))

    def free(self) -> Mask:
        """Return the models of providers that cost nothing."""
        providers = [provider.id for provider in self.providers if provider.costs_nothing]
        return self.memo("free", lambda: self.where("provider", *providers))

    def active(self) -> Mask:
        """Return the models that are active themselves."""
        return self.memo("active", lambda: self.mask(self.columns.column("active", lambda m: m.active)))

    def missing(self) -> Mask:
        """Return the models that no source lists any more."""
        return self.memo(
            "missing", lambda: self.mask(self.columns.column("missing", lambda m: m.missing_since is not None))
        )

    def offered(self) -> Mask:
        """Return the models for which `is_offered` is true."""
        return self.enabled() & self.where("status", *OFFERED_STATUSES)

    def position(self, model_id: str) -> int | None:
        """Return a model's position in `rows`."""
        return self.memo("positions", lambda: {row.id: at for at, row in enumerate(self.rows)}).get(model_id)

    def mask_of(self, positions: Iterable[int]) -> Mask:
        """Return the models at these positions."""
        flags = bytearray(len(self.rows))
        for position in positions:
            flags[position] = 1
        return int.from_bytes(flags, "little")

    def positions(self, mask: Mask) -> list[int]:
        """Return the positions in `rows` of a mask's models."""
        return self.select(mask, range(len(self.rows)))

    def select(self, mask: Mask, column: Iterable[T]) -> list[T]:
        """Return a column's values for the models of a mask, in stable order."""
        return list(compress(column, self.flags(mask)))

    def flags(self, mask: Mask) -> bytes:
        """Return a mask as a column: 1 for each of its models."""
        return mask.to_bytes(len(self.rows), "little")


def has(mask: Mask, position: int) -> bool:
    """Whether a mask includes the model at a position."""
    return bool(mask >> (8 * position) & 1)


class ModelIndexes:
    """Keeps the newest index until its tables change."""

    def __init__(self) -> None:
        self._stamps: tuple[object, ...] = ()
        self._index: ModelIndex | None = None

    def of(self, snapshot: Snapshot) -> ModelIndex:
        """Return the index of a snapshot's models."""
        stamps = tuple(snapshot.tables[table].stamp for table in MADE_OF)
        if self._index is None or stamps != self._stamps:
            self._index, self._stamps = ModelIndex(snapshot, self._index), stamps
        return self._index


def _cached(cache: dict[Hashable, Any], key: Hashable, make: Callable[[], T], most: int = 0) -> T:
    value = cache.get(key)
    if value is None:
        value = make()
        if most and len(cache) >= most:
            del cache[next(iter(cache))]
        cache[key] = value
    return value


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
        for name, (read, column) in tuple(self._kept.items()):  # a long list may be made in a thread meanwhile
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
