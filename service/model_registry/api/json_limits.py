"""How deep JSON is nested and how many values it holds, told from its bytes before it is parsed. Pure.

Both look at counts first, which no ordinary body exceeds; only the rest is taken apart.
"""

from __future__ import annotations

import re

DEEPEST = 64
"""Levels. A row's own JSON may have 32, a project's file none."""
MOST_VALUES = 2_000_000
"""An import of 100,000 models has fewer. As Python objects they take some 200 MB."""

_STRING = rb'"[^"\\]*+(?:\\.?[^"\\]*+)*+"?'
"""A string that does not end goes to the end of the body: every quote begins a match that succeeds. If one could fail,
the next quote inside would be tried, and so on: 64 KB would take a quarter of a minute, in one call."""
_STRINGS = re.compile(_STRING, re.DOTALL)
_SOME = re.compile(rb'(?:[^"]*+' + _STRING + rb"){1,1000}+", re.DOTALL)
"""At most a thousand strings: a call holds the interpreter's lock until it returns, and millions take long."""
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_SAME = bytes.maketrans(b"{}", b"[]")


def too_deep(body: bytes) -> bool:
    """Whether it is nested more than `DEEPEST` levels."""
    if body.count(b"[") + body.count(b"{") <= DEEPEST:
        return False
    brackets = _without_strings(body).translate(_SAME, _NO_BRACKETS)
    for _ in range(DEEPEST):  # each time the innermost level goes
        if not brackets:
            return False
        brackets = brackets.replace(b"[]", b"")
    return b"[" in brackets


def too_many_values(body: bytes) -> bool:
    """Whether it holds more than `MOST_VALUES` values."""
    if _values(body) <= MOST_VALUES:
        return False
    return _values(_without_strings(body)) > MOST_VALUES


def _values(body: bytes) -> int:
    return body.count(b",") + body.count(b"[") + body.count(b"{")


def _without_strings(body: bytes) -> bytes:
    parts, at = [], 0
    while some := _SOME.match(body, at):
        parts.append(_STRINGS.sub(b"", some[0]))
        at = some.end()
    return b"".join([*parts, body[at:]])
