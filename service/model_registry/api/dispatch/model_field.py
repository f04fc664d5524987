"""The `model` of a request of OpenAI's protocol: read, and replaced without touching another byte of the body. Pure.

Every occurrence counts, however it is spelled: a model that the registry did not read might be one that the caller may
not ask. What is wrong with the rest of the body, the upstream says itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message

import orjson

from model_registry.api.dispatch.fields import read_members
from model_registry.errors import Incomplete, Invalid, Reason

MODEL = "model"
_LONGEST = 1000
"""Characters of a name. Names of models have at most half as many."""
_SPELLED = re.compile(rb'"(?:m|\\u006[dD])(?:o|\\u006[fF])(?:d|\\u0064)(?:e|\\u0065)(?:l|\\u006[cC])"')
"""All that JSON reads as `model`."""
_VALUE = re.compile(rb'[ \t\r\n]*:[ \t\r\n]*("(?:[^"\\\x00-\x1f]|\\.)*+")')
_FORM = "multipart/form-data"
_ODD_LINES = re.compile(rb"\n[ \t]|(?<!\r)\n|\r(?!\n)")
"""Headers that go on in the next line, and lines that end as not everybody ends them."""


@dataclass(frozen=True, slots=True)
class ModelField:
    """Where a body names its model."""

    name: str
    spans: tuple[tuple[int, int], ...]
    """Where it stands: from the first byte of the value to behind the last."""
    in_form: bool = False
    """Whether the value is plain text and no JSON."""

    def replaced(self, body: bytes, model: str) -> bytes:
        """The body with another model."""
        value = model.encode() if self.in_form else orjson.dumps(model)
        parts, at = [], 0
        for start, end in self.spans:
            parts += [body[at:start], value]
            at = end
        return b"".join([*parts, body[at:]])


def model_field(body: bytes, content_type: str) -> ModelField:
    """Find the model of a whole body. Errors: Incomplete (there is none), Invalid."""
    is_form = content_type.lstrip()[: len(_FORM)].lower() == _FORM
    field = _in_form(body, _parameter(content_type, "boundary") or "") if is_form else _in_json(body)
    if not field.name:
        raise _missing()
    if len(field.name) > _LONGEST:
        raise _invalid(MODEL, f"is longer than {_LONGEST:,} characters")
    return field


def _in_json(body: bytes) -> ModelField:
    found = _SPELLED.search(body)
    if found is None:
        raise _missing()
    value = _VALUE.match(body, found.end())
    if value is not None and _SPELLED.search(body, value.end()) is None:
        try:
            name = orjson.loads(body).get(MODEL)  # where the only one is a field of an object below, there is none
        except (ValueError, AttributeError):
            name = None  # orjson takes less than others do: half a surrogate pair
        if isinstance(name, str):
            return ModelField(name, ((value.start(1), value.end(1)),))
    spans = tuple((value, end) for name, _, value, end in read_members(body) if name == MODEL)
    if not spans:
        raise _missing()
    names = {_text(body[start:end]) for start, end in spans}
    if len(names) > 1:
        raise _invalid(MODEL, "is given several times, with different values")
    return ModelField(names.pop(), spans)


def _text(written: bytes) -> str:
    try:
        value = orjson.loads(written)
    except ValueError:
        value = None
    if not isinstance(value, str):
        raise _invalid(MODEL, "must be a text")
    return value


def _in_form(body: bytes, boundary: str) -> ModelField:
    if not boundary or not boundary.isascii():
        raise _invalid("Content-Type", "names no boundary of the form's parts")
    spans = tuple((start, end) for name, start, end in _parts(body, b"--" + boundary.encode()) if name == MODEL)
    if not spans:
        raise _missing()
    try:
        names = {body[start:end].decode() for start, end in spans}
    except UnicodeDecodeError:
        raise _invalid(MODEL, "is not UTF-8") from None
    if len(names) > 1:
        raise _invalid(MODEL, "is given several times, with different values")
    return ModelField(names.pop(), spans, in_form=True)


def _parts(body: bytes, delimiter: bytes) -> Iterator[tuple[str, int, int]]:
    """The parts of a form (RFC 7578): name, and where the value stands. Errors: Invalid.

    Strict, so that an upstream reads no part that is not seen here.
    """
    if not body.startswith(delimiter + b"\r\n"):
        raise _invalid("body", "does not begin with the form's boundary")
    at, between = len(delimiter) + 2, b"\r\n" + delimiter
    while True:
        head_end = body.find(b"\r\n\r\n", at)
        end = body.find(between, head_end + 2)
        if head_end < 0 or end < 0:
            raise _invalid("body", "is a form that ends early")
        yield _part_name(body[at:head_end]), head_end + 4, end
        at = end + len(between) + 2
        if body[at - 2 : at] == b"--":
            return
        if body[at - 2 : at] != b"\r\n":
            raise _invalid("body", "has something behind a boundary of the form")


def _part_name(head: bytes) -> str:
    """The name of a part. Errors: Invalid."""
    lines = [line.partition(b":") for line in head.split(b"\r\n")]
    dispositions = [value for name, _, value in lines if name.lower() == b"content-disposition"]
    if len(dispositions) != 1 or _ODD_LINES.search(head):
        raise _invalid("body", "has a part of the form without one plain Content-Disposition")
    name = _parameter(dispositions[0].decode("utf-8", "replace"), "name")
    if name is None:
        raise _invalid("body", "has a part of the form without a plain name")
    return name


def _parameter(header: str, name: str) -> str | None:
    """A parameter of a header's value; None where it is encoded, which not all upstreams read alike."""
    message = Message()
    message["x"] = header.strip()
    value = message.get_param(name, header="x")
    return value if isinstance(value, str) else None


def _missing() -> Incomplete:
    return Incomplete("The body names no `model`.", reasons=[Reason(MODEL, "is required")])


def _invalid(where: str, message: str) -> Invalid:
    return Invalid(f"{where}: {message}", reasons=[Reason(where, message)])
