"""The rules again, for a configuration that has changed a little: what was said of an entry is kept with it.

The rules look at one entry at a time, from there at the models and functions that it names, and at the sections; so an
entry is checked again when it, what it asked for, any section, or the list of files is another one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from model_registry.errors import Reason
from model_registry.gateways.tensorzero.project import MODEL_TABLES
from model_registry.gateways.tensorzero.reading.cached_parse import Entry, ParsedConfig, Rereader
from model_registry.gateways.tensorzero.reading.outside_references import Survey, surveyed, together
from model_registry.gateways.tensorzero.rules import check_configuration
from model_registry.gateways.tensorzero.rules.context import Surroundings, surroundings_of
from model_registry.gateways.tensorzero.rules.deprecated import deprecated_syntax

T = TypeVar("T")

_ASKED_FOR = (*MODEL_TABLES, "functions")


@dataclass(slots=True)
class RuleResult:
    """What the rules say of a configuration, or of an entry of it."""

    faults: list[Reason] = field(default_factory=list)
    deprecated: list[Reason] = field(default_factory=list)


@dataclass(slots=True)
class _SaidOfEntry(RuleResult):
    asked: set[str] = field(default_factory=set)
    """The models and functions that were looked for, there or not."""


class CachedRules:
    """Remembers what was said of each entry of the last configuration. For one thread."""

    def __init__(self) -> None:
        self._rereader = Rereader()
        self._read: tuple[str, ParsedConfig | None] | None = None
        self._surveys: dict[Entry, Survey] = {}
        self._known: dict[Entry, _SaidOfEntry] = {}
        self._files: frozenset[str] = frozenset()

    def survey(self, text: str) -> Survey | None:
        """What is in the configuration that is to be checked next; None when it has to be read as a whole."""
        reading = self._rereader.read(text)
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
        """As `check_configuration` and `deprecated_syntax` on the whole; None when the text has to be read as a whole.

        Args:
            text: the configuration.
            files: the paths of all files, as `has_file` goes by them.
            has_file: whether there is a file at a relative path.
        """
        read, self._read = self._read, None
        reading = read[1] if read is not None and read[0] == text else self._rereader.read(text)
        if reading is None:
            self._known = {}
            return None
        all_again = files != self._files or any(not name for _, name in reading.changed)
        changed = {name for section, name in reading.changed if section in _ASKED_FOR}
        around = surroundings_of(reading.tree)
        known: dict[Entry, _SaidOfEntry] = {}
        for entry, table in reading.tables.items():
            said = self._known.get(entry)
            if said is None or all_again or entry in reading.changed or not changed.isdisjoint(said.asked):
                said = _said_of(entry, table, around, has_file)
            known[entry] = said
        self._known, self._files = known, files
        return RuleResult(list(_all(known, lambda said: said.faults)), list(_all(known, lambda said: said.deprecated)))


def _all(known: Mapping[Entry, _SaidOfEntry], which: Callable[[RuleResult], list[Reason]]) -> Iterator[Reason]:
    return (reason for said in known.values() for reason in which(said))


def _said_of(entry: Entry, table: Any, around: Surroundings, has_file: Callable[[str], bool]) -> _SaidOfEntry:  # noqa: ANN401 (any TOML value)
    section, name = entry
    part = {section: {name: table} if name else table}
    said = _SaidOfEntry()

    def noting(find: Callable[[str], T]) -> Callable[[str], T]:
        def noted(asked: str) -> T:
            said.asked.add(asked)
            return find(asked)

        return noted

    noted = Surroundings(
        noting(around.model), noting(around.embedding_model), noting(around.has_function), around.sections
    )
    said.faults = check_configuration(part, noted, has_file)
    said.deprecated = deprecated_syntax(part)
    return said
