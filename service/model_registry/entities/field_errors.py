"""What pydantic and FastAPI refuse, in our words: one reason a field. Where to show it is decided elsewhere."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from model_registry.entities.spelling import nearest
from model_registry.errors import Reason

Location = tuple[int | str, ...]
"""A value's location in pydantic's form: field names, and positions in lists."""

_LONGEST_SHOWN = 40
_OBJECT = "must be a JSON object: {{...}}"
_INTEGER = "must be an integer"
_NUMBER = "must be a number"
_BOOLEAN = "must be true or false"
_TIME = "must be a date and time in ISO 8601, such as 2026-11-30T12:00:00Z"

_MESSAGES = {
    "missing": "is required",
    "string_type": "must be a string",
    "string_too_short": "must have at least {min_length:,} characters",
    "string_too_long": "must have at most {max_length:,} characters",
    "string_pattern_mismatch": "must match the pattern {pattern}",
    "string_unicode": "must be text in UTF-8",
    "int_type": _INTEGER,
    "int_parsing": _INTEGER,
    "int_parsing_size": "must be an integer of at most 64 bits",
    "int_from_float": "must be an integer, without a fraction",
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "decimal_type": _NUMBER,
    "decimal_parsing": _NUMBER,
    "finite_number": "must be a finite number",
    "bool_type": _BOOLEAN,
    "bool_parsing": _BOOLEAN,
    "list_type": "must be a list: [...]",
    "too_short": "must have at least {min_length:,} items",
    "too_long": "must have at most {max_length:,} items",
    "dict_type": _OBJECT,
    "model_type": _OBJECT,
    "model_attributes_type": _OBJECT,
    "mapping_type": _OBJECT,
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "datetime_type": _TIME,
    "datetime_parsing": _TIME,
    "datetime_from_date_parsing": _TIME,
    "uuid_type": "must be a UUID",
    "uuid_parsing": "must be a UUID",
    "extra_forbidden": "is not a known field",
}
"""By pydantic's name of the error. What is missing here has pydantic's own message."""

_SHOWN = frozenset({_INTEGER, _NUMBER, _BOOLEAN, _TIME})
"""Messages that are followed by the value."""


def dotted(location: Location) -> str:
    """Write a location for a reason: `models.0.name`."""
    return ".".join(map(str, location))


def reasons_of(error: ValidationError, where: Callable[[Location], str] = dotted) -> list[Reason]:
    """Return one reason per field that pydantic refused."""
    return reasons_from(error.errors(include_url=False), where)


def reasons_from(details: Iterable[Mapping[str, Any]], where: Callable[[Location], str] = dotted) -> list[Reason]:
    """Do the same for a list of errors from FastAPI or pydantic."""
    return [Reason(where(detail["loc"]), _message(detail)) for detail in details]


def _message(detail: Mapping[str, Any]) -> str:
    kind, value, context = detail["type"], detail.get("input"), detail.get("ctx") or {}
    if kind == "literal_error":
        return _not_allowed(value, re.findall(r"'([^']+)'", context["expected"]))
    if kind not in _MESSAGES:
        return str(detail["msg"]).removeprefix("Value error, ")
    if value is None and kind != "missing":
        return "must not be null"
    if kind == "string_too_short" and context["min_length"] == 1:
        return "must not be empty"
    message = _MESSAGES[kind].format(**context)
    return f"{message}, not {_short(value)}" if message in _SHOWN and isinstance(value, str | int | float) else message


def _not_allowed(value: object, allowed: list[str]) -> str:
    close = nearest(value, allowed) if isinstance(value, str) else None
    hint = f"did you mean {close!r}? " if close else ""
    return f"{_short(value)} is not allowed; {hint}Allowed: {', '.join(allowed)}"


def _short(value: object) -> str:
    text = repr(value) if isinstance(value, str | int | float | bool) else f"a {type(value).__name__}"
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."
