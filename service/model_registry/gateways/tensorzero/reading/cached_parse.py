"""Reading a configuration again that has changed a little: what was read before is kept, entry by entry.

Reading 10,000 models takes a second, and one change is one entry. Knows nothing of what is in the entries.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from model_registry.errors import InvalidConfiguration
from model_registry.gateways.tensorzero.project import MODELLED, Table
from model_registry.gateways.tensorzero.reading.parse import unchecked_project

Entry = tuple[str, str]
"""A model or a function: top-level table and name. The other top-level tables are an entry each, without a name."""

_NOTHING: Entry = ("", "")
"""The place of comments."""


@dataclass(frozen=True, slots=True)
class ParsedConfig:
    """A configuration, and what of it is not as it was in the one before."""

    tables: dict[Entry, Any]
    changed: frozenset[Entry]
    """Other than before, new, or gone."""

    @property
    def tree(self) -> Table:
        """The whole configuration. Parts of it are shared with later readings: not to be changed."""
        tree: Table = {}
        for (section, name), table in self.tables.items():
            if name:
                tree.setdefault(section, {})[name] = table
            else:
                tree[section] = table
        return tree


class Rereader:
    """Remembers the entries of the last configuration by their text. For one thread."""

    def __init__(self) -> None:
        self._places: dict[str, Entry] = {}
        self._chunks: dict[Entry, list[str]] = {}
        self._tables: dict[Entry, Any] = {}

    def read(self, text: str) -> ParsedConfig | None:
        """The configuration of this text, or None when it does not fall into tables at its empty lines.

        A table may be begun twice; apart from that it is what `unchecked_project` reads.
        """
        places: dict[str, Entry] = {}
        chunks: dict[Entry, list[str]] = {}
        read: dict[str, Table] = {}
        for chunk in text.split("\n\n"):
            place = self._places.get(chunk)
            if place is None:
                if (table := _read(chunk)) is None or (place := _place(table)) is None:
                    return None
                read[chunk] = table
            places[chunk] = place
            if place != _NOTHING:
                chunks.setdefault(place, []).append(chunk)
        before = self._chunks
        changed = {entry for entry, parts in chunks.items() if before.get(entry) != parts}
        tables = {entry: None if entry in changed else self._tables[entry] for entry in chunks}
        for entry in changed:
            tables[entry] = _merged(entry, [read.get(chunk) or _read(chunk) or {} for chunk in chunks[entry]])
            if tables[entry] is None:
                return None
        self._places, self._chunks, self._tables = places, chunks, tables
        return ParsedConfig(tables, frozenset(changed | (before.keys() - chunks.keys())))


def _read(chunk: str) -> Table | None:
    """The table of this text, nothing for comments; None when it is no table by itself."""
    if all(not line or line.startswith("#") for line in chunk.split("\n")):
        return {}
    # A table of an array belongs to the one before it; other beginnings are in the middle of something.
    if not chunk.lstrip("\n").startswith("[") or "[[" in chunk:
        return None
    try:
        return unchecked_project({"": chunk}).tree
    except InvalidConfiguration:
        return None


def _place(tree: Table) -> Entry | None:
    """Which entry this table belongs to; None when that is not clear."""
    if len(tree) != 1:
        return None if tree else _NOTHING
    ((section, table),) = tree.items()
    if section not in MODELLED:
        return section, ""
    return (section, next(iter(table))) if isinstance(table, dict) and len(table) == 1 and "" not in table else None


def _merged(entry: Entry, tables: Iterable[Table]) -> Any:  # noqa: ANN401 (any TOML value)
    """What these tables make together; None when something is there twice."""
    tree: Table = {}
    if not all(_merge(tree, table) for table in tables):
        return None
    section, name = entry
    return tree[section][name] if name else tree[section]


def _merge(target: Table, source: Table) -> bool:
    """Merge; False when something is there twice."""
    for key, value in source.items():
        here: Any = target.get(key)
        if key not in target:
            target[key] = value
        elif not isinstance(here, dict) or not isinstance(value, dict) or not value or not _merge(here, value):
            return False
    return True
