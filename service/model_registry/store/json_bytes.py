"""JSON as bytes, for callers, for the disk, to and from the database: whatever Postgres can hold."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, TypeAlias

import orjson
import pydantic_core

from model_registry.entities.json_types import Json
from model_registry.errors import Invalid

Argument: TypeAlias = "Json | orjson.Fragment"
"""A value, or JSON made beforehand."""

_FROM = 1e16
"""From here on orjson writes floats with an exponent, and Postgres reads those without a decimal point as integers."""


def json_bytes(value: object) -> bytes:
    """A JSON value as UTF-8."""
    try:
        return orjson.dumps(value)
    except TypeError:
        # An integer of more than 64 bits: the drafts refuse it, but jsonb takes it from anyone who writes SQL.
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def parse_json(content: bytes) -> Any:  # noqa: ANN401 (callers know the shape of what they asked for)
    """Read JSON in two thirds of the time of Python's parser, to the same values. Errors: ValueError."""
    try:
        return pydantic_core.from_json(content)
    except ValueError:  # also for what is nested deeper than it goes
        try:
            return json.loads(content)
        except RecursionError as error:
            message = "nested too deep"
            raise ValueError(message) from error


def request_body(arguments: Mapping[str, Argument]) -> bytes:
    """Write the arguments of a database function as one JSON object, the body of a request to PostgREST.

    jsonb keeps a number as it is spelled, and 1e+16 is an integer to it. The gateway keeps integers and floats apart in
    what it sends on (`extra_body`), so large floats are spelled with all their digits and a decimal point.
    Errors: Invalid for nan, infinity, and half a surrogate pair.
    """
    try:
        fragments = {
            name: value if isinstance(value, orjson.Fragment) else orjson.Fragment(_json(value))
            for name, value in arguments.items()
        }
    except (ValueError, TypeError, RecursionError) as error:
        message = f"A value cannot be written as JSON: {error}."
        raise Invalid(message) from error
    return orjson.dumps(fragments)


def _json(value: Json) -> bytes:
    try:
        return _spelled(value) if _has_large_float(value) else orjson.dumps(value)
    except orjson.JSONEncodeError:
        # An integer of more than 64 bits, or a value nested deeper than orjson goes: the drafts refuse both, but a
        # rollback writes a row again as somebody has put it into the table with SQL.
        return _spelled(value)


def _has_large_float(value: Json) -> bool:
    match value:
        case dict():
            return any(map(_has_large_float, value.values()))
        case list():
            return any(map(_has_large_float, value))
        case float():
            return _is_large(value)
    return False


def _is_large(value: float) -> bool:
    if not math.isfinite(value):
        message = "nan and infinity are not JSON"  # orjson would write null
        raise ValueError(message)
    return abs(value) >= _FROM


def _spelled(value: Json) -> bytes:
    """As `orjson.dumps`, with every number spelled in full; slower."""
    match value:
        case dict():
            return orjson.dumps({key: orjson.Fragment(_spelled(item)) for key, item in value.items()})
        case list():
            return orjson.dumps([orjson.Fragment(_spelled(item)) for item in value])
        case float() if _is_large(value):
            return f"{Decimal(value):f}.0".encode()
        case int() if not isinstance(value, bool):
            return str(value).encode()
    return orjson.dumps(value)
