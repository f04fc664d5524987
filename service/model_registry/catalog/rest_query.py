"""The part of PostgREST's query language that programs use on the registry's views: columns, conditions, order, pages.

What is not understood is refused: a condition that is passed over would answer too many rows.
"""

from __future__ import annotations

import csv
import functools
import math
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from model_registry.catalog.views import View
from model_registry.entities.spelling import suggestion
from model_registry.errors import Invalid, Reason

_ORDER = re.compile(r"(?P<column>\w+)(?:\.(?P<way>asc|desc))?(?:\.(?P<nulls>nullsfirst|nullslast))?")
_COLUMN = re.compile(r"(?:(?P<alias>\w+):)?(?P<column>\w+)")
CONTROLS = ("select", "order", "limit", "offset")
_MOST_ROWS = 2**31 - 1
_DIGITS = re.compile(r"[0-9]{1,20}")
_MOST_TERMS = 50
"""Each looks at all rows."""


def queried(
    rows: Sequence[View], query: Iterable[tuple[str, str]], columns: Iterable[str] = ()
) -> tuple[list[View], int]:
    """Return the rows that a query asks for, and how many fit its conditions. Errors: Invalid.

    The columns are those that rows would have, if there are none.
    """
    controls: dict[str, str] = {}
    known = set(rows[0] if rows else columns) or None  # where none are known, none is wrong
    found, terms = list(rows), list(query)
    if len(terms) > _MOST_TERMS:
        raise _not_understood("query", f"{len(terms)} parameters: at most {_MOST_TERMS}")
    for name, value in terms:
        if name in CONTROLS:
            controls[name] = value
        else:
            _known(name, name, known)
            fits = _condition(name, value)
            found = [row for row in found if fits(row[name])]
    count = len(found)
    if controls.get("select") == "count":
        return [{"count": count}], count
    for term in reversed(_split(controls.get("order", ""), "order")):
        found = _ordered(found, term, known)
    start = _number("offset", controls.get("offset", "0"))
    found = found[start : start + _number("limit", controls.get("limit", str(_MOST_ROWS)))]
    return _selected(found, controls.get("select", "*"), known), count


def _selected(rows: list[View], select: str, known: set[str] | None) -> list[View]:
    if select in {"*", ""}:
        return rows
    columns = {}
    for term in _split(select, "select"):
        match = _COLUMN.fullmatch(term)
        if match is None:
            raise _not_understood("select", f"{term!r}: only columns, `alias:column`, `*` or `count`")
        columns[match["alias"] or match["column"]] = _known("select", match["column"], known)
    return [{shown: row[column] for shown, column in columns.items()} for row in rows]


def _ordered(rows: list[View], term: str, known: set[str] | None) -> list[View]:
    match = _ORDER.fullmatch(term)
    if match is None:
        raise _not_understood("order", f"{term!r}: `column.asc` or `column.desc`, with `.nullsfirst` or `.nullslast`")
    column, descends = _known("order", match["column"], known), match["way"] == "desc"
    nulls_first = match["nulls"] == "nullsfirst" if match["nulls"] else descends
    absent = [row for row in rows if row[column] is None]
    present = [row for row in rows if row[column] is not None]
    present.sort(key=lambda row: _comparable(row[column]), reverse=descends)
    return absent + present if nulls_first else present + absent


def _comparable(value: Any) -> tuple[int, Any]:  # noqa: ANN401 (any JSON value)
    return (0, value) if isinstance(value, int | float) else (1, str(value))


def _condition(name: str, text: str) -> Callable[[Any], bool]:
    operator, dot, operand = text.partition(".")
    if operator == "not" and dot and not operand.startswith("not."):
        fits = _condition(name, operand)
        return lambda value: value is not None and not fits(value)
    if operator == "is" and operand in _IS:
        wanted = _IS[operand]
        return lambda value: value is wanted
    if operator == "in" and operand.startswith("(") and operand.endswith(")"):
        listed = _listed(name, operand[1:-1])
        return lambda value: value is not None and _text(value) in listed
    if operator in _COMPARISONS and dot:
        return functools.partial(_compared, name, _COMPARISONS[operator], operand)
    message = f"{text!r}: an operator and a value, such as `eq.{text}`; known: {', '.join((*_COMPARISONS, 'is', 'in'))}"
    raise _not_understood(name, f"{message}, each after `not.` too")


def _compared(name: str, compare: Callable[[Any, str], bool], operand: str, value: Any) -> bool:  # noqa: ANN401
    try:
        return value is not None and compare(value, operand)
    except ValueError as error:
        raise _not_understood(name, f"{operand!r}: the column holds numbers") from error


def _listed(name: str, values: str) -> frozenset[str]:
    try:
        return frozenset(next(csv.reader([values], skipinitialspace=True), []))
    except csv.Error as error:
        raise _not_understood(name, f"{values!r}: {error}") from error


def _sign(value: Any, operand: str) -> int:  # noqa: ANN401 (any JSON value)
    """Compare as numbers where the column holds numbers, else as text. Errors: ValueError, for what is no number."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        number = float(operand)
        if math.isnan(number):
            raise ValueError(operand)
        return (value > number) - (value < number)
    return (_text(value) > operand) - (_text(value) < operand)


def _like(text: str, pattern: str) -> bool:
    """Match `*` and `%` against any characters, in linear time."""
    first, *rest = re.split(r"[*%]", pattern)
    if not rest:
        return text == pattern
    if not text.startswith(first) or len(text) < len(first) + len(rest[-1]) or not text.endswith(rest[-1]):
        return False
    position, end = len(first), len(text) - len(rest[-1])
    for part in rest[:-1]:
        position = text.find(part, position, end)
        if position < 0:
            return False
        position += len(part)
    return True


def _text(value: Any) -> str:  # noqa: ANN401 (any JSON value)
    return str(value).lower() if isinstance(value, bool) else str(value)


_IS = {"null": None, "true": True, "false": False}
_COMPARISONS: dict[str, Callable[[Any, str], bool]] = {
    "eq": lambda value, operand: _sign(value, operand) == 0,
    "neq": lambda value, operand: _sign(value, operand) != 0,
    "gt": lambda value, operand: _sign(value, operand) > 0,
    "gte": lambda value, operand: _sign(value, operand) >= 0,
    "lt": lambda value, operand: _sign(value, operand) < 0,
    "lte": lambda value, operand: _sign(value, operand) <= 0,
    "like": lambda value, operand: _like(_text(value), operand),
    "ilike": lambda value, operand: _like(_text(value).casefold(), operand.casefold()),
}


def _split(terms: str, place: str) -> list[str]:
    parts = [term.strip() for term in terms.split(",") if term.strip()]
    if len(parts) > _MOST_TERMS:
        raise _not_understood(place, f"{len(parts)} columns: at most {_MOST_TERMS}")
    return parts


def _number(name: str, text: str) -> int:
    if not _DIGITS.fullmatch(text) or int(text) > _MOST_ROWS:
        raise _not_understood(name, f"{text!r}: a whole number up to {_MOST_ROWS}")
    return int(text)


def _known(place: str, column: str, known: set[str] | None) -> str:
    if known is not None and column not in known:
        names = sorted(known if place != column else known.union(CONTROLS))
        raise _not_understood(place, f"there is no column {column!r}; {suggestion(column, names)}")
    return column


def _not_understood(place: str, problem: str) -> Invalid:
    message = f"Not understood here: {problem}. PostgREST itself, at its own address, understands more"
    return Invalid(f"{place}: {message}.", reasons=[Reason(place, message)])
