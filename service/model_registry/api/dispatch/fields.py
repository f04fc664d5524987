"""The registry's own fields of a request's body: read, and cut out without touching another byte of it. Pure.

What is left is the caller's: numbers keep their digits, and what is wrong with it the service says itself.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

import orjson

from model_registry.api.guarded_route import too_many_values
from model_registry.api.json_mistakes import json_mistake
from model_registry.errors import BodyTooLarge, Invalid, Reason

MODEL_TYPE, MODEL_VERSION = "model_type", "model_version"
OWN_FIELDS = frozenset({MODEL_TYPE, MODEL_VERSION, "aggregate", "model_types", "versions"})
"""What an upstream does not get. It gets `model_version` where it has several."""
MOST_VALUES = 200_000
MOST_MEMBERS = 10_000
"""Of a body that is read to its end. It takes up to 0.1 s, in which nobody else is answered."""

_TYPE_FIRST = re.compile(rb'\s*\{\s*"model_type"\s*:\s*"([^"\\\x00-\x1f]{1,300})"\s*(?:,\s*(?=")|(?=\}))')
_OTHERS = re.compile(rb'"(?:model_types?|model_version|aggregate|versions)"')
"""What may be one of the registry's fields, further down or inside another value."""
_ESCAPED = rb"\u00"
"""What may spell one of them otherwise. By itself: an alternative would make the search for both take five times."""
_OWN_FIRST = re.compile(rb'\s*\{\s*(?:"(?:model_type|model_version)"\s*:\s*"[^"\\\x00-\x1f]{1,300}"\s*,\s*){1,2}(?=")')
_SPACE = re.compile(r"[ \t\r\n]*")
_DECODER = json.JSONDecoder(parse_int=str, parse_float=str)
"""Only where values end counts; numbers are not computed."""


@dataclass(frozen=True, slots=True)
class Fields:
    """A body in two parts."""

    own: dict[str, Any]
    rest: bytes = field(repr=False)
    """A JSON object with all other fields, as the caller wrote them."""

    def text(self, name: str) -> str | None:
        """A field that is a text, if it is given. Errors: Invalid."""
        value = self.own.get(name)
        if value is None or (isinstance(value, str) and value):
            return value
        raise invalid(name, "must be a text")


def read_fields(body: bytes) -> Fields:
    """Read the registry's fields of a whole body. Errors: Invalid when it is no JSON object."""
    first = _TYPE_FIRST.match(body)
    if first is not None and body.find(_ESCAPED, first.end()) < 0 and not _OTHERS.search(body, first.end()):
        return Fields({MODEL_TYPE: _decoded(first[1])}, b"{" + body[first.end() :])
    both = read_first_fields(body)
    if both is not None and not _OTHERS.search(both.rest):
        return both
    return _read_all(body)


def read_first_fields(begun: bytes) -> Fields | None:
    """Read the registry's fields at the very beginning of a body of which more is to come; None if it begins otherwise.

    `rest` is then what has come of the rest. Further down they are the service's.
    """
    first = _OWN_FIRST.match(begun)
    if first is None:
        return None
    own = _value(MODEL_TYPE, first[0].rstrip().rstrip(b",") + b"}")
    return Fields(own, b"{" + begun[first.end() :]) if MODEL_TYPE in own else None


def with_version(rest: bytes, version: str) -> bytes:
    """The rest of a body, with the version that this instance is to use."""
    named = b'{"model_version":' + orjson.dumps(version)
    after = rest[1:]
    return named + (after if after.lstrip()[:1] == b"}" else b"," + after)


def _read_all(body: bytes) -> Fields:
    own, kept = {}, []
    for name, start, value, end in read_members(body):
        if name in OWN_FIELDS:
            own[name] = _value(name, body[value:end])
        else:
            kept.append(body[start:end])
    return Fields(own, b"{" + b",".join(kept) + b"}")


def read_members(body: bytes) -> list[tuple[str, int, int, int]]:
    """The members of an object: name, where it starts, where its value starts, where that ends.

    Errors: Invalid; BodyTooLarge when there are too many values for that.
    """
    if too_many_values(body, MOST_VALUES):
        raise _too_many(f"{MOST_VALUES:,} values")
    try:
        return _members(body.decode("latin-1"))  # a character is a byte: places in one are places in the other
    except json.JSONDecodeError as error:
        reason = json_mistake(body.decode("utf-8", "replace"), error.pos, error.msg)
        raise Invalid(str(reason), reasons=[reason]) from None
    except (ValueError, RecursionError):
        raise invalid("body", "is nested too deeply") from None


def _members(text: str) -> list[tuple[str, int, int, int]]:
    """The members of an object: name, where it starts, where its value starts, where that ends."""
    at = _skip(text, 0)
    if text[at : at + 1] != "{":
        if not text.strip():
            raise json.JSONDecodeError("Expecting value", text, 0)
        _DECODER.decode(text)
        raise json.JSONDecodeError("An object is expected", text, at)
    members: list[tuple[str, int, int, int]] = []
    at = _skip(text, at + 1)
    while text[at : at + 1] != "}" and len(members) <= MOST_MEMBERS:
        if text[at : at + 1] != '"':
            raise json.JSONDecodeError("Expecting property name enclosed in double quotes", text, at)
        start = at
        name, at = _DECODER.raw_decode(text, at)
        at = _skip(text, at)
        if text[at : at + 1] != ":":
            raise json.JSONDecodeError("Expecting ':' delimiter", text, at)
        value = _skip(text, at + 1)
        _, end = _DECODER.raw_decode(text, value)
        members.append((name, start, value, end))
        at = _behind(text, end)
    if len(members) > MOST_MEMBERS:
        raise _too_many(f"{MOST_MEMBERS:,} fields")
    if _skip(text, at + 1) != len(text):
        raise json.JSONDecodeError("Extra data", text, _skip(text, at + 1))
    return members


def _behind(text: str, end: int) -> int:
    """Where the next member begins behind one, or the object ends."""
    at = _skip(text, end)
    if text[at : at + 1] == ",":
        at = _skip(text, at + 1)
        if text[at : at + 1] == "}":
            raise json.JSONDecodeError("Illegal trailing comma", text, at)
    elif text[at : at + 1] != "}":
        raise json.JSONDecodeError("Expecting ',' delimiter", text, at)
    return at


def _too_many(what: str) -> BodyTooLarge:
    return BodyTooLarge(
        f"The body holds more than {what}, and all must be read to find what the registry needs. Give it first, "
        "and once: `model_type`, then `model_version`; of a language model `model`."
    )


def _skip(text: str, at: int) -> int:
    space = _SPACE.match(text, at)
    return at if space is None else space.end()


def _value(name: str, written: bytes) -> Any:  # noqa: ANN401 (any JSON)
    try:
        return orjson.loads(written)
    except ValueError:
        raise invalid(name, "is not valid JSON in UTF-8") from None


def _decoded(name: bytes) -> str:
    try:
        return name.decode()
    except UnicodeDecodeError:
        raise invalid(MODEL_TYPE, "is not UTF-8") from None


def invalid(where: str, message: str) -> Invalid:
    """Return the refusal of one field."""
    return Invalid(f"{where}: {message}", reasons=[Reason(where, message)])
