"""Parses a slightly changed configuration incrementally: unchanged entries are kept.

Parsing 10,000 models takes a second, and one change touches one entry. The entries' contents do not matter here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from model_registry.entities.json_types import Toml
from model_registry.errors import InvalidConfiguration
from model_registry.gateways.tensorzero.project import MODELLED, Table
from model_registry.gateways.tensorzero.reading.parse import unchecked_project

Entry = tuple[str, str]
"""A model or a function: top-level table and name. Every other top-level table is one entry, without a name."""

_NOTHING: Entry = ("", "")
"""The entry of comments."""


@dataclass(frozen=True, slots=True)
class ParsedConfig:
    """A configuration, and its differences from the last one."""

    tables: dict[Entry, Any]
    changed: frozenset[Entry]
    """Changed, new or removed entries."""

    @property
    def tree(self) -> Table:
        """The whole configuration. Do not change it: later results share its parts."""
        tree: Table = {}
        for (section, name), table in self.tables.items():
            if name:
                tree.setdefault(section, {})[name] = table
            else:
                tree[section] = table
        return tree


class CachedParser:
    """Caches the entries of the last configuration by their text. Not thread-safe."""

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}
        self._chunks: dict[Entry, list[str]] = {}
        self._tables: dict[Entry, Any] = {}

    def read(self, text: str) -> ParsedConfig | None:
        """Parse a configuration; None when its tables are not separated by empty lines.

        Accepts a table that is begun twice; otherwise the result equals that of `unchecked_project`.
        """
        entries: dict[str, Entry] = {}
        chunks: dict[Entry, list[str]] = {}
        read: dict[str, Table] = {}
        for chunk in text.split("\n\n"):
            entry = self._entries.get(chunk)
            if entry is None:
                if (table := _read(chunk)) is None or (entry := _entry_of(table)) is None:
                    return None
                read[chunk] = table
            entries[chunk] = entry
            if entry != _NOTHING:
                chunks.setdefault(entry, []).append(chunk)
        before = self._chunks
        changed = {entry for entry, parts in chunks.items() if before.get(entry) != parts}
        tables = {entry: None if entry in changed else self._tables[entry] for entry in chunks}
        for entry in changed:
            tables[entry] = _merged(entry, [read.get(chunk) or _read(chunk) or {} for chunk in chunks[entry]])
            if tables[entry] is None:
                return None
        self._entries, self._chunks, self._tables = entries, chunks, tables
        return ParsedConfig(tables, frozenset(changed | (before.keys() - chunks.keys())))


def _read(chunk: str) -> Table | None:
    """Parse a chunk as a table, empty for comments; None when it is no table by itself."""
    if all(not line or line.startswith("#") for line in chunk.split("\n")):
        return {}
    # An array's table belongs to the one before it; any other beginning is inside a value.
    if not chunk.lstrip("\n").startswith("[") or "[[" in chunk:
        return None
    try:
        return unchecked_project({"": chunk}).tree
    except InvalidConfiguration:
        return None


def _entry_of(tree: Table) -> Entry | None:
    """Return the entry of a table; None when it is ambiguous."""
    if len(tree) != 1:
        return None if tree else _NOTHING
    ((section, table),) = tree.items()
    if section not in MODELLED:
        return section, ""
    return (section, next(iter(table))) if isinstance(table, dict) and len(table) == 1 and "" not in table else None


def _merged(entry: Entry, tables: Iterable[Table]) -> Toml:
    """Merge the tables of an entry; None when a key is set twice."""
    tree: Table = {}
    if not all(_merge(tree, table) for table in tables):
        return None
    section, name = entry
    merged: Toml = tree[section][name] if name else tree[section]
    return merged


def _merge(target: Table, source: Table) -> bool:
    """Merge into the target; return False when a key is set twice."""
    for key, value in source.items():
        here: Any = target.get(key)
        if key not in target:
            target[key] = value
        elif not isinstance(here, dict) or not isinstance(value, dict) or not value or not _merge(here, value):
            return False
    return True
