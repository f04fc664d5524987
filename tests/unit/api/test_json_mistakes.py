"""A body that is no JSON is refused with the place and what to write instead."""

from __future__ import annotations

import json

import pytest

from model_registry.api.json_mistakes import json_mistake, wrong_content_type


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("", "is empty; send a JSON object"),
        (" \n", "is empty; send a JSON object"),
        ("{'name': 1}", "line 1, column 2: names and strings stand in double quotes"),
        ("{\"a\": 'b'}", "line 1, column 7: names and strings stand in double quotes"),
        ('{"a": 1,}', "the comma before a closing bracket must go"),
        ('{"a": [1, 2,]}', "the comma before a closing bracket must go"),
        ('{"a": True}', "line 1, column 7: write true instead of True"),
        ('{"a": None}', "write null instead of None"),
        ('{"a": 1', "it ends too early"),
        ('{"a": ', "it ends too early"),
        ('{"a": 1\n "b": 2}', "line 2, column 2: a comma is missing before it"),
        ('{"a" 1}', "a colon is missing before it"),
        ('{"a": "b}', "the string that begins here does not end"),
        ('{"a": }', "a value is expected, not '}'"),
        ("{a: 1}", "a name in double quotes is expected, not 'a: 1}'"),
        ('{"a": 1} {"b": 2}', "the JSON value ends before it"),
        ('{"a": "b\nc"}', "a line break or tab inside a string"),
        ('{"a": "C:\\dir"}', "a backslash inside a string"),
        ('{"a": 1} // why', "JSON has no comments"),
        ('{"a": \u201cx\u201d}', "write straight double quotes, not \u201c"),
        ("{\u201ca\u201d: 1}", "write straight double quotes, not \u201c"),
        ('{"a": 01}', "a number does not begin with 0"),
        ('{"a": .5}', "a number begins with a digit"),
        ('{"a": +1}', "a number begins with a digit"),
        ("name=x&model_id=y", "a value is expected, not 'name=x&model_id=y'"),
    ],
)
def test_a_typical_mistake_is_named(body: str, message: str) -> None:
    with pytest.raises(json.JSONDecodeError) as error:
        json.loads(body)
    assert message in str(json_mistake(body, error.value.pos, error.value.msg))


def test_the_answer_does_not_grow_with_the_body() -> None:
    assert len(str(json_mistake("x" * 10**6, 0, "Expecting value"))) < 200
    assert len(str(wrong_content_type("x" * 10**6))) < 300
