"""JSON as Postgres holds it, read and written: the same values, spelled so that floats stay floats in jsonb."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_registry.entities.json_types import Json
from model_registry.errors import Invalid
from model_registry.store.json_bytes import parse_json, request_body

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text('ab"\\', max_size=3), inner, max_size=4),
    max_leaves=12,
)


def as_jsonb(text: str) -> Any:
    """A number as jsonb gives it back: its exponent is gone, and without a decimal point it is an integer."""
    number = f"{Decimal(text):f}"
    return float(number) if "." in number else int(number)


@pytest.mark.parametrize(
    "body",
    [
        "[123456789012345678901234567890, 18446744073709551616, -9223372036854775809]",
        "[1.0, -0.0, 0.1, 1e22, 123456789.123456789, 5e-324, 1e400]",
        '{"a": null, "b": [true, "\\u00e9\\ud83d\\ude00"]}',
        "[" * 500 + "]" * 500,
    ],
    ids=["large integers", "floats", "text", "deep"],
)
def test_json_is_read_as_pythons_own_parser_reads_it(body: str) -> None:
    assert repr(parse_json(body.encode())) == repr(json.loads(body))


@pytest.mark.parametrize(
    "body", [b"<html>", b"", b"1" * 5000, b"[" * 100_000], ids=["a page", "nothing", "long", "deep"]
)
def test_what_is_no_json_is_a_value_error(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"Expecting value|digits|nested"):
        parse_json(body)


@given(VALUES)
def test_every_value_comes_back_from_jsonb_with_its_type(value: Any) -> None:
    body = request_body({"value": value})

    found = json.loads(body, parse_float=as_jsonb)

    assert repr(found["value"]) == repr(value)


def test_a_large_float_has_all_its_digits_and_a_point() -> None:
    numbers: list[Json] = [1e16, -2.5e20, 9007199254740993, 1e15, True, 2**64]
    written = (
        b"[10000000000000000.0,-250000000000000000000.0,9007199254740993,1000000000000000.0,true,18446744073709551616]"
    )

    assert request_body({"a": numbers}) == b'{"a":' + written + b"}"


def test_json_that_is_made_already_is_sent_as_it_is() -> None:
    body = request_body({"events": orjson.Fragment(b'[{"x": 1e16}]'), "actor": 'a "quoted" name'})

    assert body == b'{"events":[{"x": 1e16}],"actor":"a \\"quoted\\" name"}'


def test_a_value_deeper_than_orjson_goes_is_written() -> None:
    deep: Any = []
    for _ in range(400):
        deep = [deep]

    assert json.loads(request_body({"deep": deep}))["deep"] == deep


@pytest.mark.parametrize("value", [math.nan, [math.inf], {"a": -math.inf}, [1e16, math.nan], "\ud800", {"\udc00": 1}])
def test_what_json_cannot_hold_is_refused_and_not_changed(value: Any) -> None:
    with pytest.raises(Invalid, match="cannot be written as JSON"):
        request_body({"value": value})
