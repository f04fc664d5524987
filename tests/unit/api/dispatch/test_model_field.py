"""The model in the body of a request: found wherever it stands, and replaced without touching the rest."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_registry.api.dispatch.model_field import model_field
from model_registry.errors import Incomplete, Invalid, RegistryError

JSON = "application/json"
FORM = "multipart/form-data; boundary=x1"


def replaced(body: bytes, model: str = "new", content_type: str = JSON) -> bytes:
    return model_field(body, content_type).replaced(body, model)


def part(name: str, value: bytes, *more: str) -> bytes:
    disposition = "; ".join([f'Content-Disposition: form-data; name="{name}"', *more])
    return b"--x1\r\n" + disposition.encode() + b"\r\n\r\n" + value + b"\r\n"


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=10) | st.just("model"),
    lambda below: (
        st.lists(below, max_size=3) | st.dictionaries(st.text(max_size=5) | st.just("model"), below, max_size=3)
    ),
    max_leaves=8,
)


@given(
    fields=st.lists(st.dictionaries(st.text(max_size=6), VALUES, max_size=3), min_size=2, max_size=2),
    names=st.lists(st.text(min_size=1, max_size=20), min_size=2, max_size=2),
    written=st.sampled_from([{"ensure_ascii": True}, {"ensure_ascii": False}, {"indent": 2}]),
)
def test_everything_else_arrives_as_it_was(
    fields: list[dict[str, Any]], names: list[str], written: dict[str, Any]
) -> None:
    before, after = ({key: value for key, value in each.items() if key != "model"} for each in fields)
    model, new = names
    body = {**before, "model": model, **after}
    text = json.dumps(body, **written).encode()

    field = model_field(text, JSON)

    assert field.name == model
    assert json.loads(field.replaced(text, new)) == body | {"model": new}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"model":"a"}', b'{"model":"new"}'),
        (b' {\n "seed" : 123456789012345678901234567890, "model" :\t"a"}', None),
        (b'{"temperature": 1.0, "model": "a", "top_p": 1E-2}', None),
        (b'{"messages":[{"content":"half \\ud800 a pair"}],"model":"a"}', None),
        (b'{"messages":[{"content":"\xff"}],"model":"a"}', None),
        (b'{"tools":[{"parameters":{"properties":{"model":{"type":"string"}}}}],"model":"a"}', None),
        (b'{"model":"a","metadata":{"model":"a"}}', b'{"model":"new","metadata":{"model":"a"}}'),
    ],
)
def test_numbers_spaces_and_other_models_stay_as_they_are(body: bytes, expected: bytes | None) -> None:
    assert replaced(body) == (expected or body.replace(b'"a"', b'"new"'))


def test_an_escaped_name_is_the_same_name() -> None:
    assert replaced(b'{"\\u006dodel":"a"}') == b'{"\\u006dodel":"new"}'


def test_the_same_model_twice_is_replaced_twice() -> None:
    assert replaced(b'{"model":"a","m\\u006fdel":"a"}') == b'{"model":"new","m\\u006fdel":"new"}'


@pytest.mark.parametrize(
    "body", [b'{"model":"a","model":"b"}', b'{"model":"b","\\u006dode\\u006C":"a"}', b'{"model":"a","model":null}']
)
def test_two_models_are_refused_one_might_be_asked_without_leave(body: bytes) -> None:
    with pytest.raises(Invalid):
        model_field(body, JSON)


@pytest.mark.parametrize(
    "body", [b"{}", b'{"messages":[]}', b'{"metadata":{"model":"a"}}', b'["model"]', b'{"model":""}', b""]
)
def test_without_one_it_is_said(body: bytes) -> None:
    with pytest.raises((Incomplete, Invalid)) as refused:
        model_field(body, JSON)
    assert refused.value.message


@pytest.mark.parametrize(
    "body", [b'{"model":1}', b'{"model":["a"]}', b'{"model":"a"', b'{"model":"a"}}', b'["model":"a"]']
)
def test_what_is_no_object_with_a_text_is_refused(body: bytes) -> None:
    with pytest.raises(Invalid):
        model_field(body, JSON)


def test_endless_depth_is_refused() -> None:
    with pytest.raises(RegistryError):
        model_field(b'{"x":' + b"[" * 100_000 + b',"model":"a"}', JSON)


def test_in_a_form_it_is_found_before_and_behind_the_file() -> None:
    file = part("file", b"RIFF\r\n\x00--x", 'filename="model"')
    for parts in ((part("model", b"a"), file), (file, part("model", b"a"))):
        body = b"".join(parts) + b"--x1--\r\n"
        field = model_field(body, FORM)
        assert field.name == "a"
        assert field.replaced(body, "new") == body.replace(b"\r\n\r\na\r\n", b"\r\n\r\nnew\r\n")


def test_two_models_in_a_form_are_refused() -> None:
    with pytest.raises(Invalid, match="several times"):
        model_field(part("model", b"a") + part("model", b"b") + b"--x1--", FORM)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--x1--",
        part("model", b"a"),
        b"preamble\r\n" + part("model", b"a") + b"--x1--",
        b"--x1\r\n\r\na\r\n--x1--",
        b"--x1\r\nContent-Disposition: form-data;\r\n name=model\r\n\r\na\r\n--x1--",
        b"--x1\r\nContent-Disposition: form-data; name*=utf-8''model\r\n\r\na\r\n--x1--",
        part("model", b"a") + b"--x1 \r\n",
        part("file", b"a") + b"--x1--",
    ],
)
def test_a_form_that_upstreams_may_read_in_several_ways_is_refused(body: bytes) -> None:
    with pytest.raises((Invalid, Incomplete)):
        model_field(body, FORM)


def test_a_form_without_a_boundary_is_refused() -> None:
    with pytest.raises(Invalid, match="boundary"):
        model_field(part("model", b"a") + b"--x1--", "multipart/form-data")
