"""Combinators for the shapes of a configuration's values and tables. Names of keys are in the other files.

A shape is a function that yields the faults of a value, given the rest of the configuration (`Surroundings`). Rules on
several values are functions of the same signature, defined beside their tables.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time
from difflib import get_close_matches
from typing import Any, TypeGuard

from model_registry.entities.json_types import Toml
from model_registry.errors import Reason
from model_registry.gateways.tensorzero.project import Path, Table, dotted

OUTBOUND_LIMIT_MS = 900_000
"""The gateway's default of `gateway.global_outbound_http_timeout_ms`."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Look-ups into the rest of the configuration."""

    model: Callable[[str], Table | None]
    """Returns a table under `[models]`."""
    embedding_model: Callable[[str], Table | None]
    has_function: Callable[[str], bool]
    """Whether the function has a table under `[functions]`."""
    sections: Mapping[str, Any]
    """The top-level tables that are neither models nor functions."""

    def has(self, section: str, name: str) -> bool:
        """Whether a top-level table has an entry, such as a tool or a metric."""
        table = self.sections.get(section)
        return isinstance(table, Mapping) and name in table

    @property
    def outbound_limit_ms(self) -> int:
        """The upper limit of all timeouts."""
        gateway = self.sections.get("gateway")
        limit = gateway.get("global_outbound_http_timeout_ms") if isinstance(gateway, Mapping) else None
        return limit if isinstance(limit, int) else OUTBOUND_LIMIT_MS


def surroundings_of(tree: Mapping[str, Any]) -> Surroundings:
    """Make the context from a whole configuration."""

    def finder(section: str) -> Callable[[str], Table | None]:
        tables = tree.get(section)
        return lambda name: tables.get(name) if isinstance(tables, Mapping) else None

    functions = tree.get("functions")
    has_function = functions.__contains__ if isinstance(functions, Mapping) else lambda _: False
    return Surroundings(finder("models"), finder("embedding_models"), has_function, tree)


Shape = Callable[[Path, Any, Surroundings], Iterator[Reason]]

_FLOAT32_MAX = 3.4028235e38
_UINT64_MAX = 2**63 - 1  # TOML's integers end here


def refused(path: Path, message: str) -> Reason:
    """Make a reason for a key."""
    return Reason(dotted(path), message)


@dataclass(frozen=True, slots=True)
class TableOf:
    """A table with known keys."""

    keys: Mapping[str, Shape]
    required: frozenset[str] = frozenset()
    rules: tuple[Shape, ...] = ()
    """Rules on more than one key."""
    silent: bool | Callable[[str], bool] = False
    """Whether the gateway ignores unknown keys, or this one, instead of refusing them."""
    removed: Mapping[str, str] = field(default_factory=dict)
    """Keys of older gateways -> the remedy."""

    def __call__(self, path: Path, value: Toml, around: Surroundings) -> Iterator[Reason]:
        """Yield the faults of a value."""
        if not isinstance(value, Mapping):
            yield refused(path, "must be a table")
            return
        for key in sorted(self.required - value.keys()):
            yield refused(path, f"the key {key!r} is missing, and the gateway requires it; add it")
        for key, item in value.items():
            shape = self.keys.get(key)
            if shape is None:
                yield refused((*path, key), self._unknown(key))
            else:
                yield from shape((*path, key), item, around)
        for rule in self.rules:
            yield from rule(path, value, around)

    def partly(self) -> TableOf:
        """Return the shape for a part of such a table: no required keys, and no rules on the whole."""
        return replace(self, required=frozenset(), rules=())

    def _unknown(self, key: str) -> str:
        if key in self.removed:
            return f"is of older gateways, and today's refuses it; {self.removed[key]}"
        ignored = self.silent(key) if callable(self.silent) else self.silent
        fate = "silently ignores" if ignored else "refuses"
        close = get_close_matches(key, self.keys, 1)
        known = f"did you mean {close[0]!r}?" if close else f"known here: {', '.join(sorted(self.keys))}"
        return f"is not a key of this table, and the gateway {fate} it; remove it ({known})"


@dataclass(frozen=True, slots=True)
class TablesOf:
    """A table of named tables."""

    shape: Shape
    name: Callable[[str], str | None] = lambda _: None
    """Returns a fault of a name, or None."""

    def __call__(self, path: Path, value: Toml, around: Surroundings) -> Iterator[Reason]:
        """Yield the faults of a value."""
        if not isinstance(value, Mapping):
            yield refused(path, "must be a table")
            return
        for key, item in value.items():
            if problem := self.name(key):
                yield refused((*path, key), problem)
            yield from self.shape((*path, key), item, around)


def by_type(shapes: Mapping[str, Shape | None]) -> Shape:
    """Make the shape of a table whose `type` says which keys it has; None leaves a type to the gateway's own check."""

    def check(path: Path, value: Toml, around: Surroundings) -> Iterator[Reason]:
        kind = value.get("type") if isinstance(value, Mapping) else None
        if not isinstance(value, Mapping):
            yield refused(path, "must be a table")
        elif not isinstance(kind, str) or kind not in shapes:
            yield refused((*path, "type"), f"must be one of {', '.join(shapes)}")
        elif shape := shapes[kind]:
            yield from shape(path, value, around)

    return check


def list_of(shape: Shape) -> Shape:
    """Make the shape of a list of items."""

    def check(path: Path, value: Toml, around: Surroundings) -> Iterator[Reason]:
        if not isinstance(value, list):
            yield refused(path, "must be a list")
            return
        for number, item in enumerate(value):
            yield from shape((*path, str(number)), item, around)

    return check


def only(holds: Callable[[Any], bool], message: str) -> Shape:
    """Make the shape of a value of which this holds."""

    def check(path: Path, value: Toml, _: Surroundings) -> Iterator[Reason]:
        if not holds(value):
            yield refused(path, message)

    return check


def one_of(*words: str) -> Shape:
    """Make the shape of one of several words."""
    return only(lambda value: value in words, f"must be one of {', '.join(words)}")


def integer(least: int = 0, most: int = _UINT64_MAX) -> Shape:
    """Make the shape of a whole number within bounds."""
    message = f"must be a whole number from {least} to {most}, without a decimal point"
    return only(lambda value: _is_integer(value) and least <= value <= most, message)


def is_number(value: Toml) -> TypeGuard[int | float]:
    """Whether a value is a number; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_integer(value: Toml) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


text = only(lambda value: isinstance(value, str), "must be a string")
boolean = only(lambda value: isinstance(value, bool), "must be true or false")
not_negative = only(
    lambda value: is_number(value) and 0 <= value < math.inf, "must be a number from 0 up, neither nan nor infinite"
)


def number(path: Path, value: Toml, _: Surroundings) -> Iterator[Reason]:
    """Accept a number that fits the gateway's 32-bit floats; it drops nan and infinity."""
    if not is_number(value):
        yield refused(path, "must be a number")
    elif not abs(value) <= _FLOAT32_MAX:
        yield refused(path, "must be a finite number within 32-bit floats: the gateway would read it as not set")


def anything(path: Path, value: Toml, around: Surroundings) -> Iterator[Reason]:
    """Accept any value that JSON can represent."""
    match value:
        case float() if not math.isfinite(value):
            yield refused(path, "must not be nan or infinite: JSON has neither; write a number")
        case Mapping():
            for key, item in value.items():
                yield from anything((*path, key), item, around)
        case list():
            for position, item in enumerate(value):
                yield from anything((*path, str(position)), item, around)
        case str() | bool() | int() | float() | datetime() | date() | time():
            pass
        case _:
            yield refused(path, f"is of no type that TOML has: {type(value).__name__}")


def timeout(path: Path, value: Toml, around: Surroundings) -> Iterator[Reason]:
    """Accept milliseconds up to the outbound limit; at least 1, or every call would time out at once."""
    limit = around.outbound_limit_ms
    yield from unlimited_timeout(path, value, around)
    if _is_integer(value) and value > limit:
        yield refused(
            path, f"is longer than gateway.global_outbound_http_timeout_ms ({limit}); lower it, or raise that"
        )


def unlimited_timeout(path: Path, value: Toml, _: Surroundings) -> Iterator[Reason]:
    """Accept milliseconds, where the gateway does not apply its outbound limit."""
    if not _is_integer(value) or value < 0:
        yield refused(path, "must be a whole number of milliseconds above 0")
    elif value == 0:
        yield refused(path, "is 0: the gateway accepts it, and every call then times out; remove it or raise it")


def unreserved(name: str) -> str | None:
    """Return a fault of a name that the gateway keeps for itself, or None."""
    return "must not start with 'tensorzero::'; rename it" if name.startswith("tensorzero::") else None


def file_path(path: Path, value: Toml, _: Surroundings) -> Iterator[Reason]:
    """Accept the path of a file. `files.py` checks that it exists."""
    if not isinstance(value, str):
        yield refused(path, "must be the path of a file, as a string: the gateway takes no content here")
    elif not value:
        yield refused(path, "is empty; it must be the path of a file")
