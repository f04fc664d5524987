"""JSON as stored by Postgres, parsed and serialised."""

from __future__ import annotations

import json

import pytest

from model_registry.store.json_bytes import parse_json


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
