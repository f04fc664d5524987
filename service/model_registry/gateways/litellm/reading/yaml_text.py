"""Parses YAML as LiteLLM's reader does (YAML 1.1, safe tags), with the line of each value. Pure.

Bounded in depth and in the number of values, with aliases counted in full: built from the parser's events, because its
own composer ends the process when a text is nested deeply enough. Nothing of LiteLLM's configuration is known here.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import yaml
from yaml.constructor import SafeConstructor
from yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    CollectionStartEvent,
    DocumentEndEvent,
    DocumentStartEvent,
    Event,
    MappingStartEvent,
    ScalarEvent,
)
from yaml.resolver import Resolver

from model_registry.entities.base import json_problem
from model_registry.entities.json_types import Json
from model_registry.errors import InvalidConfiguration, Reason
from model_registry.imports.sources.yaml_document import LONGEST_NUMBER, NUMBERS

Path = tuple[str, ...]
"""Keys and numbers of list items, from the top of a document."""

DEEPEST = 64
MOST_VALUES = 2_000_000
"""10,000 models with all their keys are some 200,000 values."""

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TAG = "tag:yaml.org,2002:"
_SCALARS = frozenset(_TAG + name for name in ("null", "bool", "int", "float", "str", "timestamp"))
_COLLECTIONS = frozenset({None, "!", f"{_TAG}map", f"{_TAG}seq"})
_MERGE = f"{_TAG}merge"
_TIMESTAMP = f"{_TAG}timestamp"
_TEMPLATE = ("{{", "{%")


class _Merge:
    """The key `<<`."""


@dataclass(slots=True)
class YamlDocument:
    """One document of a text."""

    value: Json = None
    lines: dict[Path, int] = field(default_factory=dict)
    """Where each value begins, from 1."""
    twice: list[tuple[Path, int, int]] = field(default_factory=list)
    """Keys that a mapping has twice: the line of the first, and of the one that counts, as for LiteLLM the last."""
    reworded: list[tuple[Path, str]] = field(default_factory=list)
    """What JSON has no word for, and what is kept instead."""

    def line(self, path: Path) -> int:
        """Return the line of a value, or of the nearest one around it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


@dataclass(slots=True)
class _Open:
    """A mapping or list that is not finished."""

    value: Any
    path: Path
    anchor: str | None
    key: Any = None
    keys: dict[str, int] = field(default_factory=dict)
    """The lines of a mapping's own keys."""
    merged: list[Any] = field(default_factory=list)


def read_yaml(file: str, text: str) -> list[YamlDocument]:
    """Parse a text into its documents; none for an empty text.

    Raises:
        InvalidConfiguration: with the line, the reason and what to do; never with the text, which may hold secrets.
    """
    try:
        return list(_Builder(file, _hint(text)).documents(text.removeprefix("\ufeff")))
    except yaml.YAMLError as error:
        raise refusal(file, _line_of(error), f"is not valid YAML: {_words(error)}{_hint(text)}") from None


def refusal(file: str, line: int, message: str) -> InvalidConfiguration:
    """Return the error of a text that cannot be read because of what is in this line."""
    reason = Reason(f"{file}: line {line}", message)
    return InvalidConfiguration(f"The configuration cannot be read: {reason}", reasons=[reason])


def _line(event: Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 1


def _line_of(error: yaml.YAMLError) -> int:
    mark = getattr(error, "problem_mark", None)
    return mark.line + 1 if mark else 1


def _words(error: yaml.YAMLError) -> str:
    problem = getattr(error, "problem", None) or getattr(error, "reason", None)
    return str(problem or "").partition("'")[0].strip() or "it cannot be parsed"


def _hint(text: str) -> str:
    if any(mark in text for mark in _TEMPLATE):
        return "; it holds template syntax ({{ ... }}): import what the template renders, as `helm template` does"
    return ""


class _Builder:
    """Builds documents from events."""

    def __init__(self, file: str, hint: str) -> None:
        self._file = file
        self._hint = hint
        self._left = MOST_VALUES
        self._document = YamlDocument()
        self._open: list[_Open] = []
        self._anchors: dict[str, Any] = {}

    def documents(self, text: str) -> Iterator[YamlDocument]:
        for event in yaml.parse(text, Loader=_LOADER):
            match event:
                case DocumentStartEvent():
                    self._document, self._open, self._anchors = YamlDocument(), [], {}
                case DocumentEndEvent():
                    yield self._document
                case AliasEvent():
                    self._put(self._copied(self._anchored(event), event), event)
                case ScalarEvent():
                    self._scalar(event)
                case CollectionStartEvent():
                    self._begin(event)
                case CollectionEndEvent():
                    self._end(event)

    def _refuse(self, event: Event, message: str) -> InvalidConfiguration:
        return refusal(self._file, _line(event), message)

    def _count(self, event: Event) -> None:
        self._left -= 1
        if self._left < 0:
            raise self._refuse(event, f"holds more than {MOST_VALUES:,} values, its aliases written out")

    def _anchored(self, event: AliasEvent) -> Any:  # noqa: ANN401 (any YAML value)
        if event.anchor not in self._anchors:
            message = "is an alias of an anchor that is not finished before it; define the anchor first"
            raise self._refuse(event, message)
        return self._anchors[event.anchor]

    def _copied(self, value: Any, event: Event) -> Any:  # noqa: ANN401 (any YAML value)
        self._count(event)
        match value:
            case dict():
                return {key: self._copied(item, event) for key, item in value.items()}
            case list():
                return [self._copied(item, event) for item in value]
        return value

    def _begin(self, event: CollectionStartEvent) -> None:
        self._count(event)
        if len(self._open) >= DEEPEST:
            raise self._refuse(event, f"is nested more than {DEEPEST} levels deep")
        if event.tag not in _COLLECTIONS:
            message = f"has the tag {_shown(str(event.tag))}, which LiteLLM's reader refuses; leave it out"
            raise self._refuse(event, message)
        if self._open and isinstance(self._open[-1].value, dict) and self._open[-1].key is None:
            message = f"is a key that is itself a mapping or a list; put quotes around a text{self._hint}"
            raise self._refuse(event, message)
        value: Any = {} if isinstance(event, MappingStartEvent) else []
        path = self._next_path()
        self._document.lines[path] = _line(event)
        self._open.append(_Open(value, path, event.anchor))

    def _end(self, event: Event) -> None:
        closed = self._open.pop()
        value = closed.value
        if closed.merged:
            value = self._with_merged(closed, event)
        if closed.anchor:
            self._anchors[closed.anchor] = value
        self._attach(value)

    def _with_merged(self, closed: _Open, event: Event) -> dict[str, Any]:
        """Return a mapping with what `<<` brings in behind its own keys; of several, the first named wins."""
        whole: dict[str, Any] = {}
        for source in closed.merged:
            several = source if isinstance(source, list) else [source]
            for mapping in reversed(several):
                if not isinstance(mapping, dict):
                    raise self._refuse(event, "merges (`<<`) something that is no mapping")
                whole |= mapping
        whole |= closed.value
        return whole

    def _scalar(self, event: ScalarEvent) -> None:
        self._count(event)
        value, tag = self._value(event)
        here = self._open[-1] if self._open else None
        is_key = here is not None and isinstance(here.value, dict) and here.key is None
        if tag == _MERGE:
            value = _Merge if is_key else event.value
        elif tag == _TIMESTAMP or (is_key and not isinstance(value, str)):
            kind = "key" if is_key else "date"
            value = event.value
            path = (*here.path, value) if is_key and here else self._next_path()
            self._document.reworded.append((path, f"an unquoted {kind} {_shown(value)} -> the text {_shown(value)!r}"))
        if event.anchor:
            self._anchors[event.anchor] = value
        self._put(value, event)

    def _value(self, event: ScalarEvent) -> tuple[Any, str]:
        tag = event.tag
        if tag is None or tag == "!":
            tag = _resolved(event.value, event.implicit)
        if tag == _MERGE:
            return None, tag
        if tag not in _SCALARS:
            raise self._refuse(event, f"has the tag {_shown(tag)}, which LiteLLM's reader refuses; write a plain value")
        if tag in NUMBERS and len(event.value) > LONGEST_NUMBER:
            raise self._refuse(event, f"is a number of {len(event.value):,} characters; put quotes around a text")
        try:
            value = event.value if tag in {f"{_TAG}str", _TIMESTAMP} else _constructed(tag, event.value)
        except (ValueError, LookupError):  # LookupError: of `!!bool maybe` and `!!int ''`
            raise self._refuse(event, f"is no {tag.removeprefix(_TAG)}; put quotes around a text") from None
        if isinstance(value, float) and not math.isfinite(value):
            raise self._refuse(event, f"is {value}; write a number, or leave the key out where it means no limit")
        if problem := json_problem(value):
            raise self._refuse(event, problem)
        return value, tag

    def _put(self, value: Any, event: Event) -> None:  # noqa: ANN401 (any YAML value)
        here = self._open[-1] if self._open else None
        if here is not None and isinstance(here.value, dict) and here.key is None:
            here.key = value if value is _Merge or isinstance(value, str) else str(value)
            if value is not _Merge:
                self._note_key(here, here.key, event)
        else:
            self._document.lines[self._next_path()] = _line(event)
            self._attach(value)

    def _note_key(self, here: _Open, key: str, event: Event) -> None:
        line = _line(event)
        if key in here.keys:
            self._document.twice.append(((*here.path, key), here.keys[key], line))
        here.keys[key] = line

    def _attach(self, value: Any) -> None:  # noqa: ANN401 (any YAML value)
        if not self._open:
            self._document.value = value
            return
        here = self._open[-1]
        if isinstance(here.value, list):
            here.value.append(value)
        elif here.key is _Merge:
            here.merged.append(value)
            here.key = None
        else:
            here.value[here.key] = value
            here.key = None

    def _next_path(self) -> Path:
        if not self._open:
            return ()
        here = self._open[-1]
        if isinstance(here.value, list):
            return (*here.path, str(len(here.value)))
        return (*here.path, "<<" if here.key is _Merge else str(here.key))


def _shown(text: str) -> str:
    return text[:60]


_RESOLVER = Resolver()
_CONSTRUCTOR = SafeConstructor()


@lru_cache(maxsize=20_000)
def _resolved(text: str, implicit: tuple[bool, bool]) -> str:
    return str(_RESOLVER.resolve(yaml.ScalarNode, text, implicit))  # type: ignore[no-untyped-call]


def _constructed(tag: str, text: str) -> Any:  # noqa: ANN401 (any YAML scalar)
    return SafeConstructor.yaml_constructors[tag](_CONSTRUCTOR, yaml.ScalarNode(tag, text))
