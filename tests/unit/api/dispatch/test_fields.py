"""The registry's own fields leave a body, and nothing else of it changes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_registry.api.dispatch.fields import (
    MOST_MEMBERS,
    MOST_VALUES,
    OWN_FIELDS,
    read_fields,
    read_first_fields,
    with_version,
)
from model_registry.errors import BodyTooLarge, Invalid


@pytest.mark.parametrize(
    ("body", "rest"),
    [
        (b'{"model_type":"LSTM","data":[1.00, 1e400]}', b'{"data":[1.00, 1e400]}'),
        (b' { "model_type" : "LSTM" , "data": [1] } ', b'{"data": [1] } '),
        (b'{"model_type": "LSTM"}', b"{}"),
        (b'{"data": [NaN], "model_type": "LSTM"}', b'{"data": [NaN]}'),
        (
            b'{"model_type": "LSTM", "config": {"model_type": "inner", "n": 12345678901234567890}}',
            b'{"config": {"model_type": "inner", "n": 12345678901234567890}}',
        ),
        ('{"model_type": "LSTM", "text": "ä \\" model_version"}'.encode(), '{"text": "ä \\" model_version"}'.encode()),
    ],
)
def test_what_is_not_the_registrys_stays_as_it_was_written(body: bytes, rest: bytes) -> None:
    fields = read_fields(body)

    assert (fields.own["model_type"], fields.rest) == ("LSTM", rest)


def test_every_own_field_is_read_wherever_it_stands() -> None:
    body = b'{"data": 1, "versions": ["a"], "aggregate": "mean", "model_version": "b", "model_types": ["x"]}'

    fields = read_fields(body)

    assert fields.own == {
        "versions": ["a"],
        "aggregate": "mean",
        "model_version": "b",
        "model_types": ["x"],
    }
    assert fields.rest == b'{"data": 1}'


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
_NAMES = st.sampled_from(sorted(OWN_FIELDS)) | st.text(max_size=8)


@given(
    value=st.dictionaries(_NAMES, _VALUES, max_size=5),
    model_type=st.none() | st.text(min_size=1, max_size=5),
    spaced=st.booleans(),
    ascii_only=st.booleans(),
)
def test_reading_is_what_json_says(
    value: dict[str, Any], model_type: str | None, *, spaced: bool, ascii_only: bool
) -> None:
    whole = value if model_type is None else {"model_type": model_type, **value}
    body = json.dumps(whole, indent=2 if spaced else None, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")

    fields = read_fields(body)

    assert fields.own == {name: given for name, given in whole.items() if name in OWN_FIELDS}
    assert json.loads(fields.rest) == {name: given for name, given in whole.items() if name not in OWN_FIELDS}


@pytest.mark.parametrize(
    ("body", "place"),
    [
        (b"", "body: is empty"),
        (b"[1]", "body"),
        (b'{"data": [1}', "line 1, column 12"),
        (b'{"data": 1,}', "the comma before a closing bracket must go"),
        (b'{"data": 1} {}', "ends before it"),
        (b"{data: 1}", "a name in double quotes is expected"),
        (b'{"a": ' + b"[" * 100_000 + b'], "model_type": "x"}', "nested too deeply"),
    ],
)
def test_what_is_no_object_is_refused_with_the_place(body: bytes, place: str) -> None:
    with pytest.raises(Invalid, match=r".") as refused:
        read_fields(body)

    assert place in refused.value.message


@pytest.mark.parametrize("value", [b"1", b"[]", b'""', b"{}"])
def test_a_model_type_is_a_text(value: bytes) -> None:
    fields = read_fields(b'{"model_type": ' + value + b"}")

    with pytest.raises(Invalid, match="model_type: must be a text"):
        fields.text("model_type")


def test_of_a_body_that_goes_on_the_first_fields_are_read() -> None:
    fields = read_first_fields(b'{"model_type": "LSTM", "model_version": "a", "data": [1, 2')

    assert fields is not None
    assert fields.own == {"model_type": "LSTM", "model_version": "a"}
    assert fields.rest == b'{"data": [1, 2'
    assert read_first_fields(b'{"data": [1, 2') is None


@pytest.mark.parametrize(
    ("rest", "whole"), [(b"{}", b'{"model_version":"a"}'), (b'{ "b": 1}', b'{"model_version":"a", "b": 1}')]
)
def test_a_version_is_put_in_front(rest: bytes, whole: bytes) -> None:
    assert with_version(rest, "a") == whole


@pytest.mark.parametrize(
    "body",
    [
        b'{"data": [' + b"{}," * MOST_VALUES + b'1], "model_type": "LSTM"}',
        b'{"model_type": "LSTM", "data": [' + b"1," * MOST_VALUES + b'1], "versions": ["a"]}',
        b'{"data": 1, ' + b"".join(b'"%d": 1,' % n for n in range(MOST_MEMBERS)) + b'"model_type": "LSTM"}',
    ],
)
def test_what_would_stop_everybody_while_it_is_read_is_refused(body: bytes) -> None:
    with pytest.raises(BodyTooLarge, match="Give it first"):
        read_fields(body)


@pytest.mark.parametrize("version", [b"", b'"model_version": "latest", '])
def test_any_number_of_values_may_follow_the_registrys_fields(version: bytes) -> None:
    rest = b'"data": [' + b"1," * MOST_VALUES + b"1]}"

    assert read_fields(b'{"model_type": "LSTM", ' + version + rest).rest == b"{" + rest


def test_commas_in_a_text_are_no_values() -> None:
    body = b'{"text": "' + b"," * MOST_VALUES * 2 + b'", "model_type": "LSTM"}'

    assert read_fields(body).own == {"model_type": "LSTM"}


def test_a_beginning_that_is_no_utf8_is_refused() -> None:
    with pytest.raises(Invalid, match="UTF-8"):
        read_first_fields(b'{"model_type": "\xff", "model_version": "1", "data": [')
