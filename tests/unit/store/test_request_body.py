"""Request bodies for Postgres: equal values, written so that floats stay floats in jsonb."""

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
from model_registry.store.request_body import request_body

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
