"""The head of a request as bytes, and how its body is delimited. Pure; nothing a caller says can add a line to it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from model_registry.http11.addresses import Origin
from model_registry.http11.errors import InvalidRequest

_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_TARGET = re.compile(rb"[\x21-\x7e]+")
_BREAK = re.compile(rb"[\r\n\0]")
_DIGITS = re.compile(rb"[0-9]{1,18}")
_KNOWN = frozenset({b"host", b"content-length", b"transfer-encoding", b"connect"})

_LONGEST_KEPT = 256
"""Bytes of a value whose line is kept: most requests carry the same headers."""
_ALWAYS_OTHERS = frozenset({b"traceparent", b"authorization"})
"""Headers whose lines are not kept: no two are the same, or it is a secret."""


class RequestHead(NamedTuple):
    """What is written before the body."""

    data: bytes
    length: int | None
    """Bytes that the body must have; None when it is sent in chunks."""


def request_head(origin: Origin, method: bytes, target: bytes, headers: Iterable[tuple[bytes, bytes]]) -> RequestHead:
    """Encode a head; `Host` is added where the headers name none. Without a length and without chunks: no body.

    Errors: InvalidRequest for line breaks, NUL and whatever else would make a server read another head than this one,
    and for two statements about the body's length.
    """
    if _known(method) or not _TARGET.fullmatch(target):
        raise InvalidRequest("the method is none of a request, or the target contains a space or a control character")
    lines = [method + b" " + target + b" HTTP/1.1\r\n", b""]
    length, chunked, host = None, False, False
    for name, value in headers:
        kept = len(value) <= _LONGEST_KEPT and name not in _ALWAYS_OTHERS
        line, known = _line(name, value) if kept else _checked_line(name, value)
        lines.append(line)
        if not known:
            continue
        if known == b"host":
            host = True
        elif known == b"content-length":
            length = _length(value, length)
        elif known == b"transfer-encoding":
            chunked = _is_chunked(value)
    if not host:
        lines[1] = b"Host: " + origin.authority + b"\r\n"
    lines.append(b"\r\n")
    data = b"".join(lines)
    if chunked and length is not None:
        raise InvalidRequest("Content-Length and Transfer-Encoding exclude each other")
    return RequestHead(data, None if chunked else length or 0)


def _checked_line(name: bytes, value: bytes) -> tuple[bytes, bytes]:
    """A header as it is sent, and what it means here. Errors: InvalidRequest."""
    known = _known(name)
    if _BREAK.search(value):
        raise InvalidRequest("a header contains a line break or NUL")
    return name + b": " + value + b"\r\n", known


_line = lru_cache(maxsize=4096)(_checked_line)


@lru_cache(maxsize=1024)
def _known(name: bytes) -> bytes:
    """What a name or a method means here, in lower case; nothing for most. Errors: InvalidRequest."""
    if not _TOKEN.fullmatch(name):
        raise InvalidRequest(f"{name!r} is not the name of a header, or of a method")
    lowered = name.lower()
    return lowered if lowered in _KNOWN else b""


def _is_chunked(value: bytes) -> bool:
    if value.strip().lower() != b"chunked":
        raise InvalidRequest(f"Transfer-Encoding {value!r} is not supported, only chunked")
    return True


def _length(value: bytes, earlier: int | None) -> int:
    if earlier is not None or not _DIGITS.fullmatch(value):
        raise InvalidRequest("Content-Length is not one number")
    return int(value)
