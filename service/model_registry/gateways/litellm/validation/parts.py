"""Reads a configuration in parts, each once: the entries of a list of thousands stay the same from check to check.

Only the registry's own text is read in parts (`rendering/render.py` writes blocks, and an entry begins in the first
column); any other is one document. Pure, but for what it keeps.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from model_registry.gateways.litellm.config import MODEL_LIST, Table

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_START = f"{MODEL_LIST}:\n"
_TOP_LEVEL = re.compile(r"^[^\s#-]", re.MULTILINE)
_ENTRY = re.compile(r"^- ", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Part:
    """An entry of `model_list`, and the text that it was read from: equal texts are equal entries."""

    text: str
    entry: Any


@dataclass(slots=True)
class Parts:
    """A configuration in parts."""

    tree: Table
    """Without `model_list`."""
    entries: list[Part]


@dataclass(slots=True)
class Reader:
    """Reads one configuration after another. For one caller at a time."""

    _known: dict[str, Part] = field(default_factory=dict)

    def read(self, text: str) -> Parts:
        """Read a configuration. Errors: Unreadable."""
        try:
            head, start, rest = text.partition(_START)
            if not start or _TOP_LEVEL.search(head):
                return self._whole(_loaded(text))
            end = _TOP_LEVEL.search(rest)
            listed, tail = (rest[: end.start()], rest[end.start() :]) if end else (rest, "")
            tree = _mapping(_loaded(tail) or {})
            parts = [self._known.get(piece) or Part(piece, _only(_loaded(piece))) for piece in _pieces(listed)]
        except yaml.YAMLError as error:
            raise Unreadable(_problem(error)) from error
        except RecursionError as error:
            raise Unreadable("is nested too deeply") from error
        except (ValueError, LookupError, AttributeError, OverflowError) as error:  # what PyYAML's constructors raise
            message = "holds a value that is no number, date or truth value, as its tag or its form says"
            raise Unreadable(message) from error
        self._known = {part.text: part for part in parts}
        return Parts(tree, parts)

    def _whole(self, value: object) -> Parts:
        tree = _mapping(value)
        listed = tree.pop(MODEL_LIST, None) or []
        if not isinstance(listed, list):
            raise Unreadable(f"{MODEL_LIST} must be a list")
        return Parts(tree, [Part(repr(entry), entry) for entry in listed])


class Unreadable(Exception):
    """A text is no configuration, for the reason given."""


def _mapping(value: object) -> Table:
    if not isinstance(value, dict):
        raise Unreadable("must be a mapping of sections")
    return value


def _loaded(text: str) -> Any:  # noqa: ANN401 (any YAML value)
    return yaml.load(text, _Loader)  # noqa: S506 (a safe one)


def _pieces(text: str) -> Iterator[str]:
    starts = [match.start() for match in _ENTRY.finditer(text)]
    for start, end in zip(starts, [*starts[1:], len(text)], strict=True):
        yield text[start:end]


def _only(value: object) -> Any:  # noqa: ANN401 (any YAML value)
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def _problem(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or "cannot be read"
    return f"is not valid YAML: line {mark.line + 1}: {problem}" if mark else f"is not valid YAML: {problem}"
