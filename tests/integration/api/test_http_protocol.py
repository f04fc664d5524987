"""Limits on a connection before its request is complete: bytes that no normal client sends, over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from typing import Any

import pytest

from model_registry.api.http_protocol import MOST_HEADERS, MOST_URL_BYTES, Arrivals
from support.raw_http import Answer, ask, listening, read_answer
from support.replica import Replica

GET = b"GET /healthz HTTP/1.1\r\nHost: r\r\n\r\n"
MIB = b"a" * 2**20


class Refusals(Counter[str]):
    """Counts what is refused."""

    def __call__(self, reason: str) -> None:
        self[reason] += 1


def arrivals(refusals: Refusals, **limits: float) -> Arrivals:
    defaults = {"most_connections": 50, "look_seconds": 0.02}
    return Arrivals(refused=refusals, **{**defaults, **limits})  # type: ignore[arg-type] # whole numbers stay whole


@pytest.fixture
def refusals() -> Refusals:
    return Refusals()


async def test_thirty_megabytes_of_url_or_headers_are_refused_before_they_are_there(
    replica: Replica, refusals: Refusals, subtests: pytest.Subtests
) -> None:
    async with listening(replica.app, arrivals(refusals)) as port:
        for name, head, code, status in (
            ("url", b"GET /", "E4140", 414),
            ("header", b"GET / HTTP/1.1\r\nX: ", "E4310", 431),
            ("header name", b"GET / HTTP/1.1\r\nX", "E4310", 431),
        ):
            with subtests.test(name):
                answer = await ask(port, head, *([MIB] * 30))
                assert answer.problem(status, code)["reasons"] == []
                assert answer.headers["connection"] == "close"
        many = b"".join(b"X-%d: 1\r\n" % number for number in range(200_000))
        (await ask(port, b"GET / HTTP/1.1\r\n" + many)).problem(431, "E4310")
        assert (await ask(port, GET)).status == 200
    assert refusals == {"url_too_long": 1, "headers_too_large": 3}


async def test_in_one_piece_too(replica: Replica, refusals: Refusals) -> None:
    async with listening(replica.app, arrivals(refusals)) as port:
        for size, status in ((MOST_URL_BYTES, 404), (MOST_URL_BYTES + 1, 414)):
            url = b"/" + b"a" * (size - 1)
            assert (await ask(port, b"GET " + url + b" HTTP/1.1\r\nHost: r\r\n\r\n")).status == status
        for count, status in ((MOST_HEADERS, 200), (MOST_HEADERS + 1, 431)):
            headers = b"".join(b"X-%d: 1\r\n" % number for number in range(count))
            assert (await ask(port, b"GET /healthz HTTP/1.1\r\n" + headers + b"\r\n")).status == status
        large = b"GET /healthz HTTP/1.1\r\nX: " + b"a" * 65_000 + b"\r\n\r\n"
        assert (await ask(port, large)).status == 200


async def test_what_is_no_http_is_told_so_as_a_problem(replica: Replica, refusals: Refusals) -> None:
    async with listening(replica.app, arrivals(refusals)) as port:
        (await ask(port, b"\x16\x03\x01 hello\r\n\r\n")).problem(422, "E4005")
    assert refusals == {"no_http": 1}


SELECT = b"POST /api/models/select HTTP/1.1\r\nHost: r\r\n"
CHUNKED = SELECT + b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"


async def test_headers_behind_a_body_have_no_more_room_than_those_before_it(
    replica: Replica, refusals: Refusals, subtests: pytest.Subtests
) -> None:
    endings = {
        "one": [CHUNKED + b"2\r\n{}\r\n0\r\nX: ", *[MIB] * 30],
        "many": [CHUNKED + b"2\r\n{}\r\n0\r\n", *[b"X: a\r\n" * 100_000] * 10],
        "about a chunk": [CHUNKED + b"2;", *[MIB] * 30],
    }
    async with listening(replica.app, arrivals(refusals)) as port:
        for name, pieces in endings.items():
            with subtests.test(name):
                (await ask(port, *pieces)).problem(431, "E4310")
        assert (await ask(port, CHUNKED + b"2;x=y\r\n{}\r\n0\r\nX: 1\r\n\r\n")).status == 200
    assert refusals == {"headers_too_large": 3}


async def test_headers_behind_a_body_do_not_count_as_those_before_it(refusals: Refusals) -> None:
    seen: list[tuple[bytes, bytes]] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        while (await receive()).get("more_body"):
            pass
        seen.extend(scope["headers"])
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    async with listening(application, arrivals(refusals)) as port:
        assert (await ask(port, CHUNKED + b"2\r\n{}\r\n0\r\nX-API-Key: k\r\n\r\n")).status == 200
    assert {name for name, _ in seen} == {b"host", b"content-type", b"transfer-encoding"}


async def test_a_request_that_has_its_answer_gets_no_second_one(replica: Replica, refusals: Refusals) -> None:
    head = b"POST /api/providers HTTP/1.1\r\nHost: r\r\nContent-Length: 100\r\n\r\n"
    async with listening(replica.app, arrivals(refusals, idle_seconds=0.1)) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head)
        assert (await read_answer(reader)).status == 401
        assert await asyncio.wait_for(reader.read(), 20) == b""
        writer.close()
    assert refusals == {"too_slow": 1}


async def test_a_kept_connection_is_closed_when_no_other_request_comes(replica: Replica, refusals: Refusals) -> None:
    async with listening(replica.app, arrivals(refusals), timeout_keep_alive=0.1) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(2):
            writer.write(GET)
            assert (await read_answer(reader)).status == 200
        assert await asyncio.wait_for(reader.read(), 20) == b""
        writer.close()
    assert not refusals


HALF = {
    "nothing": b"",
    "a line": b"GET /api/models HTT",
    "a head": b"GET /api/models HTTP/1.1\r\nHost: r\r\n",
    "a body": b"POST /api/models/select HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{",
    "a chunk": b"POST /api/models/select HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{",
    "a second": GET + b"GET /api",
}


async def test_a_request_that_does_not_arrive_is_not_waited_for(
    replica: Replica, refusals: Refusals, subtests: pytest.Subtests
) -> None:
    async with listening(replica.app, arrivals(refusals, idle_seconds=0.1)) as port:
        for name, half in HALF.items():
            with subtests.test(name):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(half)
                if name == "a second":
                    assert (await read_answer(reader)).status == 200
                rest = await asyncio.wait_for(reader.read(), 20)
                assert (b"408 Request Timeout" in rest) == (name != "nothing"), rest
                assert (b"E4080" in rest) == (name != "nothing")
                writer.close()
    assert refusals["too_slow"] == len(HALF)


async def test_nor_one_that_arrives_byte_by_byte(replica: Replica, refusals: Refusals) -> None:
    async with listening(replica.app, arrivals(refusals, whole_seconds=0.2)) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)

        async def trickle() -> None:
            writer.write(b"GET / HTTP/1.1\r\nX: ")
            while True:
                writer.write(b"a")
                await asyncio.sleep(0.01)

        trickling = asyncio.create_task(trickle())
        assert b"E4080" in await asyncio.wait_for(reader.read(), 20)
        trickling.cancel()
        writer.close()


async def test_with_every_connection_taken_the_one_that_says_least_goes(replica: Replica, refusals: Refusals) -> None:
    async with listening(replica.app, arrivals(refusals, most_connections=20)) as port:
        kept = [await asyncio.open_connection("127.0.0.1", port) for _ in range(100)]
        for _, writer in kept:
            writer.write(b"POST /api/models/select HTTP/1.1\r\nContent-Length: 100\r\n\r\n{")
        for _ in range(10):
            assert (await ask(port, GET)).status == 200
        gone = [reader for reader, _ in kept if reader.at_eof()]
        assert 79 <= len(gone) <= 100
        for _, writer in kept:
            writer.close()
    assert refusals["too_many_connections"] >= 80


async def test_where_all_wait_for_an_answer_a_newcomer_is_told_to_come_again(
    replica: Replica, refusals: Refusals
) -> None:
    known = (await replica.client.get("/api/catalog")).headers["etag"].encode()
    waiting = b"GET /api/catalog?wait=60 HTTP/1.1\r\nIf-None-Match: " + known + b"\r\n\r\n"
    async with listening(replica.app, arrivals(refusals, most_connections=5)) as port:
        kept = [await asyncio.open_connection("127.0.0.1", port) for _ in range(5)]
        for _, writer in kept:
            writer.write(waiting)
        answer = await _until_refused(port)
        assert answer.problem(429, "E4290")
        assert answer.headers["retry-after"]
        for _, writer in kept:
            writer.close()


async def _until_refused(port: int) -> Answer:
    while True:
        with contextlib.suppress(asyncio.IncompleteReadError):
            if (answer := await ask(port, GET)).status != 200:
                return answer


async def test_a_refused_body_is_thrown_away_and_the_connection_goes_on(replica: Replica, refusals: Refusals) -> None:
    head = b"POST /api/providers HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % (
        29 * 2**20
    )
    async with listening(replica.app, arrivals(refusals)) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head)
        (await read_answer(reader)).problem(401, "E4010")  # before one byte of it is sent
        for _ in range(29):
            writer.write(MIB)
            await writer.drain()
        writer.write(GET)
        assert (await asyncio.wait_for(read_answer(reader), 20)).status == 200
        writer.close()


async def test_who_waits_for_100_continue_is_refused_without_it(replica: Replica, refusals: Refusals) -> None:
    head = b"POST /api/providers HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 1000000\r\n\r\n"
    async with listening(replica.app, arrivals(refusals)) as port:
        (await ask(port, head)).problem(401, "E4010")


async def test_many_requests_in_one_piece_are_answered_or_refused(replica: Replica, refusals: Refusals) -> None:
    async with listening(replica.app, arrivals(refusals)) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(GET * 20)
        for _ in range(20):
            assert (await asyncio.wait_for(read_answer(reader), 20)).status == 200
        writer.write(GET * 8000)
        with contextlib.suppress(ConnectionResetError):
            await asyncio.wait_for(reader.read(), 20)  # closed, not queued
        writer.close()
    assert refusals["too_many_pipelined"] == 1


async def test_an_answer_that_nobody_reads_is_not_kept(refusals: Refusals) -> None:
    limits = arrivals(refusals, unread_seconds=0.1)
    body = b"x" * 50 * 2**20

    async def large(_scope: object, _receive: object, send: object) -> None:
        assert callable(send)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
        await send({"type": "http.response.body", "body": body})

    async with listening(large, limits) as port:
        _reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1)
        writer.write(GET)
        while not limits.open:  # noqa: ASYNC110 (a dictionary notifies nobody)
            await asyncio.sleep(0.01)
        while limits.open:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        writer.close()
