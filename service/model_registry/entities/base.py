"""Bases of all entities: rows, drafts, names, JSON values, and pydantic's errors as reasons.

Rules of one entity belong in its own file.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    StringConstraints,
    ValidationInfo,
)
from pydantic_core import to_json

_INT64 = 2**63
_DEEPEST = 32
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")


class Row(BaseModel):
    """A row as stored.

    Lenient: the database's own constraints decide, and a row that an administrator wrote in SQL must not keep the
    registry from loading.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str
    version: int = 1
    created_at: str = ""
    updated_at: str = ""

    @classmethod
    def read(cls, columns: Mapping[str, Any]) -> Self:
        """Make a row of these columns. Errors: ValueError.

        pydantic stores in each instance the set of fields that were given: half of a row's memory. Rows of the
        database have all fields, so all rows of a table share one set.
        """
        row = cls.model_validate(columns)
        object.__setattr__(row, "__pydantic_fields_set__", _fields_of(cls))
        return row


@cache
def _fields_of(row: type[Row]) -> set[str]:
    return set(row.model_fields)


class Draft(BaseModel):
    """Writable fields of a row. Whether unknown ones are refused is decided where a draft comes from, not here."""

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)


def without(problem: Callable[[Any], str | None]) -> AfterValidator:
    """Make a validator that refuses what has a problem; the function returns the message, or None."""

    def check(value: Any) -> Any:  # noqa: ANN401 (any value)
        if message := problem(value):
            raise ValueError(message)
        return value

    return AfterValidator(check)


def _unprintable(value: str) -> str | None:
    return "must not contain control characters" if _CONTROL.search(value) else None


def _reserved(value: str) -> str | None:
    if value.startswith("tensorzero::"):
        return "must not start with 'tensorzero::': the gateway keeps that prefix for itself"
    return None


def json_problem(value: object, depth: int = 0) -> str | None:  # noqa: PLR0911 (any JSON value; one answer a kind)
    """Return why this value cannot be stored as JSON and rendered as TOML, or None."""
    if depth > _DEEPEST:
        return f"is nested more than {_DEEPEST} levels deep"
    match value:
        case bool() | None:
            return None
        case str():
            return _string_problem(value)
        case int():
            return None if -_INT64 <= value < _INT64 else "holds an integer outside 64 bits"
        case float():
            return None if math.isfinite(value) else "holds nan or infinity"
        case list():
            return next((p for item in value if (p := json_problem(item, depth + 1))), None)
        case dict():
            return next((p for k, v in value.items() if (p := _string_problem(k) or json_problem(v, depth + 1))), None)
    return f"holds a {type(value).__name__}, which is not JSON"


def _string_problem(value: str) -> str | None:
    if "\x00" in value:
        return "holds a NUL character, which Postgres cannot keep"
    return "holds half a surrogate pair" if not value.isascii() and _SURROGATE.search(value) else None


def metadata_bytes(value: Mapping[str, Any]) -> int:
    """Return the size of metadata as JSON, in bytes."""
    return len(to_json(value))


def metadata_problem(value: Mapping[str, Any], stored: int) -> str | None:
    """Return why metadata cannot be stored: it is too large, and larger than the row's stored metadata. Or None."""
    if (size := metadata_bytes(value)) <= max(METADATA_BYTES, stored):
        return None
    return f"is {size:,} bytes as JSON; at most {METADATA_BYTES:,} are kept of a row. Keep large things elsewhere"


def _metadata(value: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
    if problem := metadata_problem(value, (info.context or {}).get(STORED_METADATA, 0)):
        raise ValueError(problem)
    return value


Text = Annotated[str, without(_string_problem)]
"""Free text."""

printable = without(_unprintable)
"""Validates names: no control characters."""

NAME_LENGTH = 200
LONG_NAME_LENGTH = 300

ShortName = Annotated[str, StringConstraints(min_length=1, max_length=NAME_LENGTH), printable]
"""Printable, 1 to 200 characters."""

LongName = Annotated[str, StringConstraints(min_length=1, max_length=LONG_NAME_LENGTH), printable]
"""Printable, 1 to 300 characters: names of models, which may be paths."""

gateway_name = without(_reserved)
"""Validates keys of the gateway's configuration."""

GatewayShortName = Annotated[ShortName, gateway_name]
"""A short name that becomes a key of the gateway's configuration."""

GatewayLongName = Annotated[LongName, gateway_name]
"""A long name that becomes a key of the gateway's configuration."""

JsonObject = Annotated[dict[str, Any], without(json_problem)]
"""A JSON object that survives Postgres and TOML: finite numbers, 64-bit integers, no NUL, at most 32 levels."""

METADATA_BYTES = 64 * 2**10
"""Limit for a row, as JSON. Every replica holds all metadata in memory."""

STORED_METADATA = "stored_metadata"
"""Validation context key: the size of the row's stored metadata, in bytes. Older rows may exceed the limit."""

Metadata = Annotated[JsonObject, AfterValidator(_metadata)]
"""Free data about a row: a JSON object of at most 64 KiB, or no larger than what is stored."""

MAX_INT32 = 2**31 - 1
