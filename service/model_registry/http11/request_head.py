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
_DIGITS = re.compile(rb"[0-9]{1,18}")
_KNOWN = frozenset({b"host", b"content-length", b"transfer-encoding", b"connect"})


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
    lines = [method + b" " + target + b" HTTP/1.1"]
    length, chunked, host = None, False, False
    for name, value in headers:
        lines.append(name + b": " + value)
        known = _known(name)
        if not known:
            continue
        if known == b"host":
            host = True
        elif known == b"content-length":
            length = _length(value, length)
        elif known == b"transfer-encoding":
            chunked = _is_chunked(value)
    if not host:
        lines.insert(1, b"Host: " + origin.authority)
    breaks = len(lines) + 1
    data = b"\r\n".join([*lines, b"", b""])
    if data.count(b"\n") != breaks or data.count(b"\r") != breaks or b"\0" in data:
        raise InvalidRequest("a header contains a line break or NUL")
    if chunked and length is not None:
        raise InvalidRequest("Content-Length and Transfer-Encoding exclude each other")
    return RequestHead(data, None if chunked else length or 0)


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
