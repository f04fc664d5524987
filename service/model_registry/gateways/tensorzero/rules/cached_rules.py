"""Parses and checks a slightly changed configuration incrementally: what is known of each unchanged entry is kept.

Parsing 10,000 models takes a second, and one change touches one entry. The rules for an entry depend on the entry, the
models and functions it names, and the sections. So it is checked again when it, a name that it looked up, any section,
or the list of files changes. The rules themselves are beside this file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from model_registry.entities.json_types import Toml
from model_registry.errors import InvalidConfiguration, Reason
from model_registry.gateways.tensorzero.project import MODEL_TABLES, MODELLED, Table
from model_registry.gateways.tensorzero.reading.file_references import Survey, surveyed, together
from model_registry.gateways.tensorzero.reading.parse import unchecked_project
from model_registry.gateways.tensorzero.rules import check_configuration
from model_registry.gateways.tensorzero.rules.deprecated import deprecated_syntax
from model_registry.gateways.tensorzero.rules.doubts import doubts
from model_registry.gateways.tensorzero.rules.shape import Surroundings, surroundings_of

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


T = TypeVar("T")

_ASKED_FOR = (*MODEL_TABLES, "functions")


@dataclass(slots=True)
class RuleResult:
    """Faults, deprecated syntax and doubts of a configuration or an entry."""

    faults: list[Reason] = field(default_factory=list)
    deprecated: list[Reason] = field(default_factory=list)
    warnings: list[Reason] = field(default_factory=list)


@dataclass(slots=True)
class _EntryResult(RuleResult):
    asked: set[str] = field(default_factory=set)
    """Names of models and functions that were looked up, found or not."""


class CachedRules:
    """Caches the result for each entry of the last configuration. Not thread-safe."""

    def __init__(self) -> None:
        self._parser = CachedParser()
        self._read: tuple[str, ParsedConfig | None] | None = None
        self._surveys: dict[Entry, Survey] = {}
        self._known: dict[Entry, _EntryResult] = {}
        self._files: frozenset[str] = frozenset()

    def survey(self, text: str) -> Survey | None:
        """Survey the configuration to be checked next; None when it cannot be parsed incrementally."""
        reading = self._parser.read(text)
        self._read = text, reading
        if reading is None:
            return None
        before, self._surveys = self._surveys, {}
        for entry, table in reading.tables.items():
            section, name = entry
            known = None if entry in reading.changed else before.get(entry)
            self._surveys[entry] = known or surveyed({section: {name: table} if name else table})
        return together(reading.tree, self._surveys.values())

    def check(self, text: str, files: frozenset[str], has_file: Callable[[str], bool]) -> RuleResult | None:
        """Equal the rules on a whole configuration; None when the text cannot be parsed incrementally.

        Args:
            text: the configuration.
            files: the paths of all files that `has_file` knows.
            has_file: whether a file exists at a relative path.
        """
        read, self._read = self._read, None
        reading = read[1] if read is not None and read[0] == text else self._parser.read(text)
        if reading is None:
            self._known = {}
            return None
        all_again = files != self._files or any(not name for _, name in reading.changed)
        changed = {name for section, name in reading.changed if section in _ASKED_FOR}
        around = surroundings_of(reading.tree)
        known: dict[Entry, _EntryResult] = {}
        for entry, table in reading.tables.items():
            result = self._known.get(entry)
            if result is None or all_again or entry in reading.changed or not changed.isdisjoint(result.asked):
                result = _check_entry(entry, table, around, has_file)
            known[entry] = result
        self._known, self._files = known, files
        which = (lambda r: r.faults, lambda r: r.deprecated, lambda r: r.warnings)
        return RuleResult(*(list(_all(known, of)) for of in which))


def _all(known: Mapping[Entry, _EntryResult], which: Callable[[RuleResult], list[Reason]]) -> Iterator[Reason]:
    return (reason for result in known.values() for reason in which(result))


def _check_entry(entry: Entry, table: Toml, around: Surroundings, has_file: Callable[[str], bool]) -> _EntryResult:
    section, name = entry
    part = {section: {name: table} if name else table}
    result = _EntryResult()

    def noting(find: Callable[[str], T]) -> Callable[[str], T]:
        def noted(asked: str) -> T:
            result.asked.add(asked)
            return find(asked)

        return noted

    noted = Surroundings(
        noting(around.model), noting(around.embedding_model), noting(around.has_function), around.sections
    )
    result.faults = check_configuration(part, noted, has_file)
    result.deprecated = deprecated_syntax(part)
    result.warnings = doubts(part, lambda model: noted.model(model) is not None)
    return result
