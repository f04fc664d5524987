"""The depth of JSON and its number of values, computed from its bytes, even if they are not valid JSON."""

from __future__ import annotations

import json

import pytest

from model_registry.api.guarded_route import DEEPEST, MOST_VALUES, too_deep, too_many_values

_BRACKETS = b"[" * (DEEPEST + 1)


@pytest.mark.parametrize("ending", [b"", b"\\", b'\\"' * 3, b"\\\\\\"])
def test_a_string_without_an_end_goes_to_the_end_of_the_body(ending: bytes) -> None:
    # Read as anything else, each of its quotes begins another string that has no end: a quadratic number of steps.
    assert not too_deep(b'"' + _BRACKETS + ending)
    assert not too_many_values(b'"' + b"," * (MOST_VALUES + 1) + ending)


def test_a_body_of_escaped_quotes_is_looked_through_once() -> None:
    # 10^13 steps, were each quote the beginning of another string: this test would not end.
    assert too_deep(_BRACKETS + b'"' + b'\\"' * 4_000_000)


@pytest.mark.parametrize("text", ["", '"', "\\", '\\"', "[[", '"[,{'])
def test_what_stands_in_strings_does_not_count(text: str) -> None:
    body = json.dumps([text * 1000, {text: text}] * 50).encode()
    assert not too_deep(body)
    assert not too_many_values(body)
    assert too_deep(_BRACKETS + body)


def test_the_deepest_that_is_taken_and_one_deeper() -> None:
    assert not too_deep(b"[" * DEEPEST + b"]" * DEEPEST)
    assert too_deep(b'{"a":' * (DEEPEST + 1) + b"1" + b"}" * (DEEPEST + 1))
