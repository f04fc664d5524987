"""The head of a request: what it says, and what it cannot be made to say."""

from __future__ import annotations

import httptools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_registry.http11.addresses import Origin
from model_registry.http11.errors import InvalidRequest
from model_registry.http11.request_head import request_head

ORIGIN = Origin("http", "lstm", 8001)
Headers = list[tuple[bytes, bytes]]


def test_a_head_is_one_piece_with_the_host_added() -> None:
    head = request_head(ORIGIN, b"POST", b"/predict?x=1", [(b"Content-Length", b"2"), (b"X-Mine", b"a b")])

    assert head.data == b"POST /predict?x=1 HTTP/1.1\r\nHost: lstm:8001\r\nContent-Length: 2\r\nX-Mine: a b\r\n\r\n"
    assert head.length == 2


@pytest.mark.parametrize(
    ("headers", "length"), [([], 0), ([(b"transfer-encoding", b"Chunked")], None), ([(b"content-length", b"0")], 0)]
)
def test_the_headers_say_how_long_the_body_is(headers: Headers, length: int | None) -> None:
    assert request_head(ORIGIN, b"POST", b"/", headers).length == length


def test_a_host_of_the_callers_own_is_kept() -> None:
    assert request_head(ORIGIN, b"GET", b"/", [(b"host", b"other")]).data.lower().count(b"host") == 1


@pytest.mark.parametrize(
    "headers",
    [
        [(b"X", b"1\r\nEvil: 1")],
        [(b"X", b"1\nEvil: 1")],
        [(b"X", b"1\rEvil: 1")],
        [(b"X", b"1\0")],
        [(b"X\r\nEvil", b"1")],
        [(b"X:", b"1")],
        [(b"X ", b"1")],
        [(b"", b"1")],
        [(b"Content-Length", b"1"), (b"Content-Length", b"1")],
        [(b"Content-Length", b"1"), (b"Transfer-Encoding", b"chunked")],
        [(b"Content-Length", b"+1")],
        [(b"Content-Length", b"-1")],
        [(b"Content-Length", b"1_0")],
        [(b"Content-Length", b"9" * 19)],
        [(b"Content-Length", b"")],
        [(b"Transfer-Encoding", b"gzip, chunked")],
    ],
)
def test_headers_that_would_make_another_request_are_refused(headers: Headers) -> None:
    with pytest.raises(InvalidRequest):
        request_head(ORIGIN, b"POST", b"/", headers)


@pytest.mark.parametrize(
    ("method", "target"),
    [
        (b"GET /", b"/"),
        (b"", b"/"),
        (b"CONNECT", b"a:1"),
        (b"GET", b""),
        (b"GET", b"/ HTTP/1.1\r\nX: 1"),
        (b"GET", b"/a b"),
        (b"GET", b"/\x7f"),
        (b"GET", b"/\x80"),
    ],
)
def test_a_method_and_a_target_are_one_word_each(method: bytes, target: bytes) -> None:
    with pytest.raises(InvalidRequest):
        request_head(ORIGIN, method, target, [])


class _Seen:
    def __init__(self) -> None:
        self.headers: Headers = []
        self.url = b""
        self.complete = 0

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name, value))

    def on_message_complete(self) -> None:
        self.complete += 1


def test_a_line_that_was_kept_is_sent_with_its_own_value_only() -> None:
    for value in (b"1", b"2", b"1"):
        assert b"\r\nX-Mine: " + value + b"\r\n" in request_head(ORIGIN, b"GET", b"/", [(b"X-Mine", value)]).data
    for _ in range(2):  # what is refused once is refused again
        with pytest.raises(InvalidRequest):
            request_head(ORIGIN, b"GET", b"/", [(b"X-Mine", b"1\r\nHost: other")])


NASTY = st.sampled_from(
    [b"\r", b"\n", b"\0", b":", b" ", b"\t", b"a", b"Host", b"\x80", b"\r\n\r\nGET / HTTP/1.1\r\n\r\n"]
)
TEXT = st.lists(NASTY, max_size=5).map(b"".join)


@pytest.mark.property
@given(target=TEXT, headers=st.lists(st.tuples(TEXT, TEXT), max_size=3))
def test_a_server_reads_one_request_with_the_headers_given_or_it_is_refused(target: bytes, headers: Headers) -> None:
    try:
        head = request_head(ORIGIN, b"GET", b"/" + target, headers)
    except InvalidRequest:
        return
    seen = _Seen()
    httptools.HttpRequestParser(seen).feed_data(head.data)

    assert (seen.complete, seen.url) == (1, b"/" + target)
    given_ones = [(name, value.strip(b" \t")) for name, value in headers]
    assert [(n, v.strip(b" \t")) for n, v in seen.headers if v != b"lstm:8001"] == given_ones
