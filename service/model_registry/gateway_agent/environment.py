"""Which environment variables the gateway beside the agent has. Names only: no value is kept, logged or sent."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

log = logging.getLogger(__name__)

_ASSIGNMENT = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*?)\s*")
"""A line of an environment file, as systemd, Docker and shells read it."""
_EMPTY = frozenset({"", '""', "''"})


@dataclass(slots=True)
class GatewayEnvironment:
    """Where the gateway's variables come from. Files are read anew each time: people add keys to them."""

    files: tuple[Path, ...] = ()
    own: Mapping[str, str] | None = None
    """The agent's own variables, where the gateway has the same; None: it has not."""
    report: bool = False
    """Whether the names that the registry asks about are reported to it."""
    _last: dict[Path, frozenset[str]] = field(default_factory=dict)

    def missing(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return which of these the gateway has not. A variable without a value counts as missing."""
        there = self._names()
        return tuple(sorted(set(names) - there))

    def _names(self) -> frozenset[str]:
        own = (self.own or {}).items()
        return frozenset(name for name, value in own if value).union(*map(self._names_in, self.files))

    def _names_in(self, file: Path) -> frozenset[str]:
        """Return the names in a file; those of the last time, when it cannot be read."""
        try:
            self._last[file] = variables_in(file.read_text("utf-8", errors="replace"))
        except OSError as error:
            log.warning("the environment file cannot be read: %s", error)
        return self._last.get(file, frozenset())


def variables_in(text: str) -> frozenset[str]:
    """Return the names that an environment file gives a value."""
    found = (_ASSIGNMENT.fullmatch(line) for line in text.splitlines())
    return frozenset(line[1] for line in found if line and line[2] not in _EMPTY)
