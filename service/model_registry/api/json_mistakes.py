"""What is wrong with a body that is no JSON: the place, and the mistakes that people make most. Pure."""

from __future__ import annotations

from model_registry.errors import Reason

_EXCERPT = 30
"""Characters of the body that are shown. The rest may be secret, and the answer must not grow with the request."""
_PYTHON = {"True": "true", "False": "false", "None": "null", "NaN": "null", "Infinity": "null", "undefined": "null"}
_CURLY = "\u201c\u201d\u201e\u00ab\u00bb\u2018\u2019"
"""Quotes that word processors and chats make of straight ones."""
_MISSING = {
    "Expecting ',' delimiter": "a comma is missing before it, or a bracket that closes",
    "Expecting ':' delimiter": "a colon is missing before it",
    "Unterminated string starting at": "the string that begins here does not end",
    "Extra data": "the JSON value ends before it; send one value",
    "Invalid control character at": "a line break or tab inside a string is written \\n or \\t",
    "Invalid \\escape": "a backslash inside a string is written \\\\",
}
"""By the message of Python's `json`."""


def json_mistake(body: str, position: int, problem: str) -> Reason:
    """Return where and why a body is no JSON, and what to write instead.

    Args:
        body: the text.
        position: the character at which the parser stopped.
        problem: the parser's message, Python's `json`'s.
    """
    if not body.strip():
        return Reason("body", "is empty; send a JSON object")
    line, column = body.count("\n", 0, position) + 1, position - body.rfind("\n", 0, position)
    return Reason("body", f"is not valid JSON at line {line}, column {column}: {_advice(body, position, problem)}")


def _advice(body: str, position: int, problem: str) -> str:  # noqa: PLR0911 (one answer a mistake)
    rest = body[position:]
    before = body[:position].rstrip()
    if not rest.strip():
        return "it ends too early; a bracket or a value is missing"
    if rest.startswith("'"):
        return "names and strings stand in double quotes, not single ones"
    if rest.startswith(("//", "/*", "#")):
        return "JSON has no comments"
    if advice := _written_otherwise(body[:position], rest):
        return advice
    if before.endswith(",") and rest[0] in "]}":
        return "the comma before a closing bracket must go"
    if problem.startswith("Illegal trailing comma"):
        return "the comma before a closing bracket must go"
    if problem.startswith("Expecting property name"):
        return f"a name in double quotes is expected, not {_excerpt(rest)}"
    if known := next((text for start, text in _MISSING.items() if problem.startswith(start)), None):
        return f"{known} ({_excerpt(rest)})"
    return f"a value is expected, not {_excerpt(rest)}"


def _written_otherwise(before: str, rest: str) -> str | None:
    """Return how JSON writes a value that other languages, and word processors, write so."""
    if rest[0] in _CURLY:
        return f"write straight double quotes, not {rest[0]}"
    if rest[0].isdigit() and before.endswith("0"):
        return "a number does not begin with 0"
    if rest[0] in "+." and rest[1:2].isdigit():
        return "a number begins with a digit or a minus sign"
    return next(
        (f"write {instead} instead of {word}" for word, instead in _PYTHON.items() if rest.startswith(word)), None
    )


def _excerpt(rest: str) -> str:
    first = rest.split("\n", 1)[0]
    return repr(first if len(first) <= _EXCERPT else f"{first[:_EXCERPT]}...")


def wrong_content_type(content_type: str) -> Reason:
    """Return why a body was not read: it does not claim to be JSON."""
    sent = f"it has {content_type.partition(';')[0][:100]}" if content_type else "it has none"
    return Reason("body", f"was not read: send JSON with the header Content-Type: application/json; {sent}")
