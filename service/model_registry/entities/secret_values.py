"""Finds and masks secrets in JSON values, where names count and paths are reported. Texts: `secret_text.py`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from model_registry.entities.secret_patterns import announces, is_literal
from model_registry.entities.secret_text import SecretSpan, find_secrets, mask, mask_secrets, masked_text

Path = tuple[str, ...]

_NAMES = ("name", "pointer", "header", "key", "variable")
"""Siblings of `value` that hold its name, as in `extra_headers` and `extra_body`."""
_ITSELF = frozenset({"value", "literal"})
_EXAMPLES = frozenset({"example", "examples"})
"""Below these keys names do not count: schemas describe passwords without holding any."""
_IN_EXAMPLES = "examples"
_PAIR = 2


class LocatedSecret(NamedTuple):
    """A secret in a JSON value, with its path."""

    path: Path
    text: str
    """The whole text with the secret."""
    secret: str
    kind: str


def secrets_in(value: object, path: Path = (), name: str = "") -> Iterator[LocatedSecret]:
    """Yield every secret in a JSON value, with its path. `name`: the name above the value, if it is a secret's."""
    for at, text, spans in _texts(value, path, name):
        for one in spans:
            yield LocatedSecret(at, text, text[one.start : one.end], one.kind)


def masked_value(value: object, name: str = "", *, eager: bool = True) -> tuple[Any, int]:
    """Return the value with its secrets masked, and their number; the same object when there are none."""
    match value:
        case str():
            return (mask(value), 1) if _is_named(value, name) else masked_text(value, eager=eager)
        case dict():
            return _masked_object(value, name, eager=eager)
        case list():
            items = [
                masked_value(item, at, eager=eager) for item, at in zip(value, _names_in(value, name), strict=True)
            ]
            number = sum(count for _, count in items)
            return ([item for item, _ in items], number) if number else (value, 0)
    return value, 0


def shown_path(path: Path) -> str:
    """Return a dotted path for people; names that are secrets themselves are masked."""
    return ".".join(mask_secrets(part) for part in path)


def _masked_object(value: dict[str, Any], name: str, *, eager: bool) -> tuple[dict[str, Any], int]:
    number = 0
    copy: dict[str, Any] = {}
    for key, item in value.items():
        shown, hidden = masked_text(key)
        copy[shown], count = masked_value(item, _name_of(value, key, name), eager=eager)
        number += count + hidden
    return (copy, number) if number else (value, 0)


def _texts(value: object, path: Path, name: str) -> Iterator[tuple[Path, str, list[SecretSpan]]]:
    match value:
        case str():
            if _is_named(value, name):
                yield path, value, [SecretSpan(0, len(value), f"value of {name}")]
            elif spans := find_secrets(value):
                yield path, value, spans
        case dict():
            for key, item in value.items():
                at = (*path, str(key))
                if spans := find_secrets(str(key), eager=True):
                    yield at, str(key), spans
                yield from _texts(item, at, _name_of(value, key, name))
        case list():
            for number, (item, at_name) in enumerate(zip(value, _names_in(value, name), strict=True)):
                yield from _texts(item, (*path, str(number)), at_name)


def _names_in(items: list[Any], name: str) -> list[str]:
    """Return the name of each item of a list. In a pair, as headers are written, the first names the second."""
    if len(items) == _PAIR and isinstance(items[0], str) and announces(items[0]) and name != _IN_EXAMPLES:
        return ["", items[0]]
    return [name] * len(items)


def _is_named(text: str, name: str) -> bool:
    return name not in ("", _IN_EXAMPLES) and is_literal(text, name)


def _name_of(holder: dict[str, Any], key: object, name: str) -> str:
    """Return the secret's name that applies to the value under a key; empty when none does."""
    if key in _EXAMPLES or name == _IN_EXAMPLES:
        return _IN_EXAMPLES  # also for everything below
    if announces(str(key)):
        return str(key)
    if key in _ITSELF:
        beside = next((holder[n] for n in _NAMES if isinstance(holder.get(n), str)), "")
        beside = beside.rsplit("/", 1)[-1]  # a JSON pointer
        return beside if beside and announces(beside) else name
    return ""
