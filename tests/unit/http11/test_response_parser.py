"""Responses, however their bytes are cut: the same message, or the same error."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_registry.http11.errors import BadResponse, ConnectionBroken
from model_registry.http11.response_parser import MOST_HEAD_BYTES, MOST_HEADERS, ResponseHead, ResponseParser

SIZED = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Mine:  a \r\n\r\nhello"
CHUNKED = (
    b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n3;ext=1\r\nhel\r\n2\r\nlo\r\n0\r\nTrailer: x\r\n\r\n"
)
UNSIZED = b"HTTP/1.1 200 OK\r\nX: y\r\n\r\nhello"
INTERIM = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n"
EMPTY = b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"
LIKE_1_0 = b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello"


def fed(*pieces: bytes, end: bool = False, head_only: bool = False) -> ResponseParser:
    parser = ResponseParser()
    parser.body_follows = not head_only
    for piece in filter(None, pieces):
        parser.feed(piece)
    if end:
        parser.end()
    return parser


Message = tuple[ResponseHead | None, bytes, bool, bool]


def message(parser: ResponseParser) -> Message:
    return parser.head, parser.take(), parser.complete, parser.keeps_alive


@pytest.mark.parametrize(
    ("data", "status", "body", "keeps_alive"),
    [
        (SIZED, 200, b"hello", True),
        (CHUNKED, 201, b"hello", True),
        (INTERIM + SIZED, 200, b"hello", True),
        (EMPTY, 304, b"", True),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b"", True),
        (b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", 200, b"", True),
        (SIZED.replace(b"X-Mine", b"Connection: close\r\nX-Mine"), 200, b"hello", False),
        (LIKE_1_0, 200, b"hello", False),
        (LIKE_1_0.replace(b"\r\n\r\n", b"\r\nConnection: keep-alive\r\n\r\n"), 200, b"hello", True),
    ],
)
def test_a_response_is_complete_where_its_head_says(data: bytes, status: int, body: bytes, keeps_alive: bool) -> None:  # noqa: FBT001
    parser = fed(data)

    assert parser.head is not None
    assert parser.head.status == status
    assert (parser.take(), parser.complete, parser.keeps_alive) == (body, True, keeps_alive)


def test_names_come_in_lower_case_and_values_as_they_are() -> None:
    assert fed(SIZED).head == ResponseHead(200, b"OK", [(b"content-length", b"5"), (b"x-mine", b"a ")])


def test_without_a_length_the_end_of_the_connection_is_the_end() -> None:
    assert not fed(UNSIZED).complete
    parser = fed(UNSIZED, end=True)
    assert (parser.take(), parser.complete, parser.keeps_alive) == (b"hello", True, False)


@pytest.mark.parametrize("data", [SIZED, CHUNKED, EMPTY, b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"])
def test_head_has_no_body(data: bytes) -> None:
    parser = fed(data.partition(b"\r\n\r\n")[0] + b"\r\n\r\n", head_only=True)
    assert (parser.take(), parser.complete, parser.keeps_alive) == (b"", True, True)


@pytest.mark.parametrize("data", [b"", SIZED[:1], SIZED[:-1], CHUNKED[:-1], CHUNKED[:-10], INTERIM, UNSIZED[:20]])
def test_a_response_that_ends_early_is_an_error(data: bytes) -> None:
    with pytest.raises(ConnectionBroken) as broken:
        fed(data, end=True)
    assert broken.value.began == bool(data)


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 600 Odd\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 099 Odd\r\nContent-Length: 0\r\n\r\n",
        b"220 mail.example ESMTP\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nz\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01",
    ],
)
def test_what_is_no_response_is_an_error(data: bytes) -> None:
    with pytest.raises(BadResponse):
        fed(data)


FLOODS = {
    "one header": [b"HTTP/1.1 200 OK\r\nX: " + b"a" * 1000, *[b"a" * 1000] * (MOST_HEAD_BYTES // 1000)],
    "one piece": [b"HTTP/1.1 200 OK\r\nX: " + b"a" * (MOST_HEAD_BYTES + 1) + b"\r\n\r\n"],
    "headers": [b"HTTP/1.1 200 OK\r\n" + b"X: a\r\n" * (MOST_HEADERS + 1) + b"\r\n"],
    "reason": [b"HTTP/1.1 200 " + b"a" * 1000, *[b"a" * 1000] * (MOST_HEAD_BYTES // 1000)],
    "interim": [b"HTTP/1.1 100 Continue\r\n\r\n" * 100] * 100,
    "trailers": [CHUNKED[:-2], *[b"X: " + b"a" * 1000 + b"\r\n"] * (MOST_HEAD_BYTES // 1000 + 1)],
    "a trailer": [CHUNKED[:-2] + b"X: ", *[b"a" * 1000] * (MOST_HEAD_BYTES // 1000 + 1)],
    "chunk extension": [CHUNKED[:58], *[b"a" * 1000] * (MOST_HEAD_BYTES // 1000 + 1)],
}


@pytest.mark.parametrize("pieces", FLOODS.values(), ids=FLOODS)
def test_what_never_ends_is_an_error(pieces: list[bytes]) -> None:
    with pytest.raises(BadResponse, match=r"KiB|more than"):
        fed(*pieces)


@pytest.mark.parametrize("more", [SIZED, b"x", b"\r\nHTTP/1.1 200 OK\r\n"])
def test_more_than_was_asked_for_means_that_the_connection_is_not_used_again(more: bytes) -> None:
    for pieces in ([SIZED + more], [SIZED, more]):
        parser = fed(*pieces)
        assert (parser.take(), parser.complete, parser.keeps_alive) == (b"hello", True, False)


def test_a_body_behind_a_head_that_has_none_means_the_same() -> None:
    parser = fed(SIZED, head_only=True)
    assert (parser.take(), parser.complete, parser.keeps_alive) == (b"", True, False)


def _cut(data: bytes, places: Iterable[int]) -> list[bytes]:
    bounds = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[a:b] for a, b in itertools.pairwise(bounds)]


def _outcome(pieces: list[bytes], *, head_only: bool, end: bool) -> Message | str:
    try:
        return message(fed(*pieces, end=end, head_only=head_only))
    except ConnectionBroken as error:
        return type(error).__name__


WHOLE = st.sampled_from(
    [SIZED, CHUNKED, UNSIZED, EMPTY, LIKE_1_0, INTERIM + CHUNKED, SIZED + b"x", SIZED[:-2], b"nonsense"]
)


@pytest.mark.property
@given(data=WHOLE, places=st.lists(st.integers(0, 500), max_size=8), head_only=st.booleans(), end=st.booleans())
def test_however_the_bytes_are_cut_the_message_is_the_same(
    data: bytes,
    places: list[int],
    head_only: bool,  # noqa: FBT001
    end: bool,  # noqa: FBT001
) -> None:
    assert _outcome(_cut(data, places), head_only=head_only, end=end) == _outcome([data], head_only=head_only, end=end)
    one_by_one = [data[i : i + 1] for i in range(len(data))]
    assert _outcome(one_by_one, head_only=head_only, end=end) == _outcome([data], head_only=head_only, end=end)


@pytest.mark.property
@given(
    bodies=st.lists(st.binary(min_size=1, max_size=40), max_size=6), places=st.lists(st.integers(0, 500), max_size=8)
)
def test_a_body_in_chunks_arrives_as_it_was_sent(bodies: list[bytes], places: list[int]) -> None:
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(body), body) for body in bodies)
    data = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"
    assert message(fed(*_cut(data, places)))[1:] == (b"".join(bodies), True, True)
