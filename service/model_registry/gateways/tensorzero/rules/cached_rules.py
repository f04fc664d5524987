"""Checks a slightly changed configuration incrementally: the result for each unchanged entry is kept.

The rules for an entry depend on the entry, the models and functions it names, and the sections. So it is checked again
when it, a name that it looked up, any section, or the list of files changes. The rules themselves are beside this file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from model_registry.entities.json_types import Toml
from model_registry.errors import Reason
from model_registry.gateways.tensorzero.project import MODEL_TABLES
from model_registry.gateways.tensorzero.reading.cached_parse import CachedParser, Entry, ParsedConfig
from model_registry.gateways.tensorzero.reading.outside_references import Survey, surveyed, together
from model_registry.gateways.tensorzero.rules import check_configuration
from model_registry.gateways.tensorzero.rules.context import Surroundings, surroundings_of
from model_registry.gateways.tensorzero.rules.deprecated import deprecated_syntax

T = TypeVar("T")

_ASKED_FOR = (*MODEL_TABLES, "functions")


@dataclass(slots=True)
class RuleResult:
    """Faults and deprecated syntax of a configuration or an entry."""

    faults: list[Reason] = field(default_factory=list)
    deprecated: list[Reason] = field(default_factory=list)


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
        """Equal `check_configuration` and `deprecated_syntax`; None when the text cannot be parsed incrementally.

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
        return RuleResult(list(_all(known, lambda r: r.faults)), list(_all(known, lambda r: r.deprecated)))


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
    return result
