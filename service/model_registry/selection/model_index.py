"""What filters, selection and costs look at: which models have something, and numbers of all of them.

Which models have something is a `Mask`: sets of thousands of models are joined, cut and counted by one operation each.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from functools import lru_cache
from itertools import compress
from typing import Any, TypeVar

from model_registry.entities.capability import canonical
from model_registry.entities.model import OFFERED_STATUSES, Model
from model_registry.selection.model_columns import Columns
from model_registry.selection.model_numbers import reader
from model_registry.snapshot.snapshot import Snapshot

T = TypeVar("T")

Mask = int
"""One byte a model, 0 or 1, in the models' stable order."""

MADE_OF = ("models", "model_providers", "model_aliases")
"""The tables that an index is made of. Nothing in it changes until one of them does."""

_MASKS = 256
_RECENT = 16


@lru_cache(maxsize=2**12)  # models share a few sets, so that one object stands for thousands
def _canonical(tags: tuple[str, ...]) -> frozenset[str]:
    return frozenset(map(canonical, tags))


@lru_cache(maxsize=2**12)
def _shared(words: frozenset[str]) -> frozenset[str]:
    return words


def _word(found: object) -> str | None:
    return found if isinstance(found, str) else None


def _words(found: object) -> frozenset[str]:
    """The strings in a list, or the keys of an object. Rows written in SQL may hold anything."""
    if not isinstance(found, list | dict):
        return frozenset()
    return _shared(frozenset(word for word in found if isinstance(word, str)))


_ONE: dict[str, Callable[[Model], str | None]] = {
    "name": lambda m: m.name,
    "provider": lambda m: m.provider_id,
    "model_type": lambda m: m.model_type,
    "status": lambda m: m.status,
    "category": lambda m: _word(m.card.get("category")),
    "framework": lambda m: _word(m.card.get("framework")),
}
"""What models can be looked up by, and have one of."""

_MANY: dict[str, Callable[[Model], frozenset[str]]] = {
    "capability": lambda m: _canonical(tuple(m.capabilities)),
    "tag": lambda m: _words(m.card.get("tags")),
    "task_type": lambda m: _words(m.card.get("task_types")),
    "benchmark": lambda m: _words(m.card.get("benchmarks")),
}
"""What models can be looked up by, and have several of."""


class ModelIndex:
    """The models of one snapshot. Each part is made when somebody first asks for it."""

    def __init__(self, snapshot: Snapshot, before: ModelIndex | None = None) -> None:
        """Index the models; what is the same as in the index before is not made again."""
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

    def memo(self, what: Hashable, make: Callable[[], T]) -> T:
        """Something made of these models, kept as long as they are. `what` must be one of few."""
        return _held(self._made, what, make)

    def memo_lru(self, what: Hashable, make: Callable[[], T]) -> T:
        """The same for what callers choose freely: only the newest are kept."""
        return _held(self._recent, what, make, _RECENT)

    def mask(self, flags: Sequence[bool]) -> Mask:
        """Those models whose flag is set; a flag for each."""
        return int.from_bytes(bytes(flags), "little")

    def keys(self, field: str) -> frozenset[str]:
        """All that models have under a field: their capabilities, their tags, ..."""
        return self.memo(("keys", field), lambda: self._keys(field))

    def where(self, field: str, *keys: str) -> Mask:
        """The models that have one of these under a field."""
        wanted = self.keys(field).intersection(keys)
        if not wanted:
            return 0
        return _held(self._masks, (field, wanted), lambda: self._having(field, wanted), _MASKS)

    def _keys(self, field: str) -> frozenset[str]:
        if field in _ONE:
            return frozenset(key for key in set(self.columns.column(field, _ONE[field])) if key is not None)
        return frozenset[str]().union(*set(self.columns.column(field, _MANY[field])))

    def _having(self, field: str, wanted: frozenset[str]) -> Mask:
        if field in _ONE:
            return self.mask([held in wanted for held in self.columns.column(field, _ONE[field])])
        return self.mask([not wanted.isdisjoint(held) for held in self.columns.column(field, _MANY[field])])

    def numbers(self, name: str) -> list[float]:
        """One number of each model; `UNKNOWN` where it is not known."""
        return self.columns.column(("number", name), reader(name))

    def known(self, name: str) -> Mask:
        """The models of which a number is known."""
        return self.memo(("known", name), lambda: self.mask([n == n for n in self.numbers(name)]))  # noqa: PLR0124 (unknown is not equal to itself)

    def at_most(self, name: str, limit: float) -> Mask:
        """The models of which a number is known and within a limit."""
        return self.mask([number <= limit for number in self.numbers(name)])

    def at_least(self, name: str, limit: float) -> Mask:
        """The models of which a number is known and not below a limit."""
        return self.mask([number >= limit for number in self.numbers(name)])

    def enabled(self) -> Mask:
        """The models that are active, at a provider that is."""
        providers = [provider.id for provider in self.providers if provider.active]
        return self.memo("enabled", lambda: self.active() & self.where("provider", *providers))

    def active(self) -> Mask:
        """The models that are active themselves."""
        return self.memo("active", lambda: self.mask(self.columns.column("active", lambda m: m.active)))

    def offered(self) -> Mask:
        """The models that `is_offered` says should be chosen."""
        return self.enabled() & self.where("status", *OFFERED_STATUSES)

    def position(self, model_id: str) -> int | None:
        """Where in `rows` a model is."""
        return self.memo("places", lambda: {row.id: place for place, row in enumerate(self.rows)}).get(model_id)

    def mask_of(self, places: Iterable[int]) -> Mask:
        """The models at these places."""
        flags = bytearray(len(self.rows))
        for place in places:
            flags[place] = 1
        return int.from_bytes(flags, "little")

    def places(self, mask: Mask) -> list[int]:
        """Where in `rows` the models of a mask are."""
        return self.select(mask, range(len(self.rows)))

    def select(self, mask: Mask, column: Iterable[T]) -> list[T]:
        """What a column has for the models of a mask, in their stable order."""
        return list(compress(column, self.flags(mask)))

    def flags(self, mask: Mask) -> bytes:
        """A mask as a column: 1 for the models in it."""
        return mask.to_bytes(len(self.rows), "little")


def has(mask: Mask, place: int) -> bool:
    """Whether a mask has the model at a place."""
    return bool(mask >> (8 * place) & 1)


class ModelIndexes:
    """The newest index, kept until the models are others."""

    def __init__(self) -> None:
        self._stamps: tuple[object, ...] = ()
        self._index: ModelIndex | None = None

    def of(self, snapshot: Snapshot) -> ModelIndex:
        """The index of the models as this snapshot has them."""
        stamps = tuple(snapshot.tables[table].stamp for table in MADE_OF)
        if self._index is None or stamps != self._stamps:
            self._index, self._stamps = ModelIndex(snapshot, self._index), stamps
        return self._index


def _held(held: dict[Hashable, Any], what: Hashable, make: Callable[[], T], most: int = 0) -> T:
    found = held.get(what)
    if found is None:
        found = make()
        if most and len(held) >= most:
            del held[next(iter(held))]
        held[what] = found
    return found
