"""Secrets in JSON values: a name may announce one, and a place is told. The texts themselves: `secret_text.py`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from model_registry.entities.secret_names import announces, is_literal
from model_registry.entities.secret_text import Found, find_secrets, mask, mask_secrets, masked_text

Path = tuple[str, ...]

_NAMES = ("name", "pointer", "header", "key", "variable")
"""Beside `value`, these say what it is the value of: `extra_headers`, `extra_body`."""
_ITSELF = frozenset({"value", "literal"})
_EXAMPLES = frozenset({"example", "examples"})
"""Below these a name announces nothing: schemas describe passwords, and have none."""
_IN_EXAMPLES = "examples"
_PAIR = 2


class Place(NamedTuple):
    """A secret in a value."""

    path: Path
    text: str
    """The whole text that holds it."""
    secret: str
    kind: str


def secrets_in(value: Any, path: Path = (), name: str = "") -> Iterator[Place]:  # noqa: ANN401 (any JSON value)
    """Every secret in a JSON value, with its path. `name` is what announces it, if anything does."""
    for at, text, found in _texts(value, path, name):
        for one in found:
            yield Place(at, text, text[one.start : one.end], one.kind)


def masked_value(value: Any, name: str = "", *, eager: bool = True) -> tuple[Any, int]:  # noqa: ANN401 (any JSON value)
    """The value with its secrets masked, and how many there were. What holds none is the same object."""
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
    """Dotted, for people; a name that is a secret itself is masked."""
    return ".".join(mask_secrets(part) for part in path)


def _masked_object(value: dict[str, Any], name: str, *, eager: bool) -> tuple[dict[str, Any], int]:
    number = 0
    copy: dict[str, Any] = {}
    for key, item in value.items():
        shown, hidden = masked_text(key)
        copy[shown], count = masked_value(item, _name_of(value, key, name), eager=eager)
        number += count + hidden
    return (copy, number) if number else (value, 0)


def _texts(value: Any, path: Path, name: str) -> Iterator[tuple[Path, str, list[Found]]]:  # noqa: ANN401
    match value:
        case str():
            if _is_named(value, name):
                yield path, value, [Found(0, len(value), f"value of {name}")]
            elif found := find_secrets(value):
                yield path, value, found
        case dict():
            for key, item in value.items():
                at = (*path, str(key))
                if found := find_secrets(str(key), eager=True):
                    yield at, str(key), found
                yield from _texts(item, at, _name_of(value, key, name))
        case list():
            for number, (item, at_name) in enumerate(zip(value, _names_in(value, name), strict=True)):
                yield from _texts(item, (*path, str(number)), at_name)


def _names_in(items: list[Any], name: str) -> list[str]:
    """What announces each item of a list: of a pair, as headers are written, the first names the second."""
    if len(items) == _PAIR and isinstance(items[0], str) and announces(items[0]) and name != _IN_EXAMPLES:
        return ["", items[0]]
    return [name] * len(items)


def _is_named(text: str, name: str) -> bool:
    return name not in ("", _IN_EXAMPLES) and is_literal(text, name)


def _name_of(holder: dict[str, Any], key: Any, name: str) -> str:  # noqa: ANN401 (JSON from anywhere)
    """Which name announces what stands under a key; empty when none does."""
    if key in _EXAMPLES or name == _IN_EXAMPLES:
        return _IN_EXAMPLES  # also of what is further below
    if announces(str(key)):
        return str(key)
    if key in _ITSELF:
        beside = next((holder[n] for n in _NAMES if isinstance(holder.get(n), str)), "")
        beside = beside.rsplit("/", 1)[-1]  # a JSON pointer
        return beside if beside and announces(beside) else name
    return ""
