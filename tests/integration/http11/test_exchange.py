"""One request and its response, against servers that behave, and against those that do not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from model_registry.http11.connections import Connections
from model_registry.http11.errors import BadResponse, ConnectionBroken, InvalidRequest
from model_registry.http11.exchange import Exchange
from support.scripted_server import Conversation, Handler, ScriptedServer
from support.waiting import LONGEST, until

pytestmark = pytest.mark.asyncio(loop_scope="module")

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CLOSING = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
MIB = 2**20


async def ask(exchange: Exchange, method: bytes = b"GET", body: bytes = b"") -> tuple[int, bytes]:
    """Send a request and read the whole response."""
    await exchange.send_head(method, b"/", [(b"Content-Length", b"%d" % len(body))])
    await exchange.send(body)
    await exchange.end()
    head = await exchange.response()
    return head.status, b"".join([piece async for piece in exchange.body()])


async def once(
    connections: Connections, server: ScriptedServer, method: bytes = b"GET", body: bytes = b""
) -> tuple[int, bytes]:
    async with await connections.exchange(server.origin) as exchange:
        return await ask(exchange, method, body)


def answering(*answers: bytes) -> Handler:
    """Answer each request with the next of these, then close."""

    async def handler(conversation: Conversation) -> None:
        for answer in answers:
            await conversation.head()
            await conversation.say(answer)

    return handler


async def test_head_and_body_are_sent_in_one_piece(server: ScriptedServer, connections: Connections) -> None:
    received = []

    async def handler(conversation: Conversation) -> None:
        received.append(await conversation.reader.read(MIB))
        await conversation.say(OK)

    server.handler = handler
    assert await once(connections, server, b"POST", b"body") == (200, b"ok")
    assert received == [b"POST / HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Length: 4\r\n\r\nbody" % server.port]


async def test_a_body_without_a_length_is_sent_in_chunks(server: ScriptedServer, connections: Connections) -> None:
    received = []

    async def handler(conversation: Conversation) -> None:
        await conversation.head()
        received.append(await conversation.reader.readuntil(b"0\r\n\r\n"))
        await conversation.say(OK)

    server.handler = handler
    async with await connections.exchange(server.origin) as exchange:
        await exchange.send_head(b"POST", b"/", [(b"Transfer-Encoding", b"chunked")])
        for piece in (b"a", b"", b"b" * 17):
            assert await exchange.send(piece)
        await exchange.end()
        assert (await exchange.response()).status == 200
    assert received == [b"1\r\na\r\n11\r\n" + b"b" * 17 + b"\r\n0\r\n\r\n"]


async def test_connections_are_kept_and_used_again(server: ScriptedServer, connections: Connections) -> None:
    chunked = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
    server.handler = answering(OK, chunked, b"HTTP/1.1 204 No Content\r\n\r\n", OK.removesuffix(b"ok"), OK)

    answers = [await once(connections, server, method) for method in (b"GET", b"PUT", b"DELETE", b"HEAD", b"GET")]
    assert answers == [(200, b"ok"), (200, b"ok"), (204, b""), (200, b""), (200, b"ok")]
    assert len(server.connections) == 1


@pytest.mark.parametrize("answer", [CLOSING, b"HTTP/1.1 200 OK\r\n\r\nok", OK + b"x", b"HTTP/1.0 200 OK\r\n\r\nok"])
async def test_a_connection_is_not_used_again_after_it(
    server: ScriptedServer, connections: Connections, answer: bytes
) -> None:
    server.handler = answering(answer)
    assert await once(connections, server) == (200, b"ok")
    assert await once(connections, server) == (200, b"ok")
    assert len(server.connections) == 2


@pytest.mark.parametrize(
    ("answer", "began"),
    [
        (b"", False),
        (b"H", True),
        (OK[:-1], True),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nok", True),
    ],
)
@pytest.mark.parametrize("reset", [False, True])
async def test_a_response_that_ends_early_is_an_error(
    server: ScriptedServer,
    connections: Connections,
    answer: bytes,
    began: bool,  # noqa: FBT001
    reset: bool,  # noqa: FBT001
) -> None:
    async def handler(conversation: Conversation) -> None:
        await conversation.head()
        await conversation.say(answer)
        if reset:
            await asyncio.sleep(0)
            conversation.reset()

    server.handler = handler
    with pytest.raises(ConnectionBroken) as broken:
        await once(connections, server)
    assert broken.value.began == began


async def test_what_came_before_the_connection_broke_is_read_first(
    server: ScriptedServer, connections: Connections
) -> None:
    server.handler = answering(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nok")
    async with await connections.exchange(server.origin) as exchange:
        await exchange.send_head(b"GET", b"/", [])
        await exchange.end()
        await exchange.response()
        await until(lambda: asyncio.sleep(0, server.ended))
        assert await exchange.read() == b"ok"
        with pytest.raises(ConnectionBroken):
            await exchange.read()


@pytest.mark.parametrize("answer", [b"220 mail.example ESMTP\r\n", b"HTTP/1.1 200 OK\r\nX: " + b"a" * MIB])
async def test_what_is_no_response_is_an_error_and_closes_the_connection(
    server: ScriptedServer, connections: Connections, answer: bytes
) -> None:
    async def handler(conversation: Conversation) -> None:
        await conversation.head()
        await conversation.say(answer)
        await conversation.gone()

    server.handler = handler
    with pytest.raises(BadResponse):
        await once(connections, server)
    assert await until(lambda: asyncio.sleep(0, server.ended))


async def test_who_leaves_closes_the_connection_at_once(server: ScriptedServer, connections: Connections) -> None:
    gone = asyncio.Event()

    async def handler(conversation: Conversation) -> None:
        await conversation.head()
        if await conversation.gone():
            gone.set()

    server.handler = handler
    waiting = asyncio.create_task(once(connections, server))
    await until(lambda: asyncio.sleep(0, server.connections))
    waiting.cancel()
    await asyncio.wait([waiting])
    await asyncio.wait_for(gone.wait(), LONGEST)


async def test_an_answer_may_come_before_the_request_has_been_sent(
    server: ScriptedServer, connections: Connections
) -> None:
    """And the server reads no more of it: who sends is not left waiting."""

    async def handler(conversation: Conversation) -> None:
        await conversation.head()
        await conversation.say(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
        await conversation.exactly(40 * MIB)  # which never comes

    server.handler = handler
    async with await connections.exchange(server.origin) as exchange:
        await exchange.send_head(b"POST", b"/", [(b"Content-Length", b"%d" % (100 * MIB))])
        sent = 0
        while await exchange.send(b"x" * MIB):
            sent += 1
        assert ((await exchange.response()).status, await exchange.read()) == (413, b"no")
    assert sent < 40
    await until(lambda: asyncio.sleep(0, server.ended))  # closed: the rest of the request cannot be sent


async def test_request_and_response_may_be_under_way_at_once(server: ScriptedServer, connections: Connections) -> None:
    async def handler(conversation: Conversation) -> None:
        await conversation.head()
        await conversation.say(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n")
        for _ in range(3):
            await conversation.say(await conversation.exactly(1))

    server.handler = handler
    async with await connections.exchange(server.origin) as exchange:
        await exchange.send_head(b"POST", b"/", [(b"Content-Length", b"3")])
        await exchange.response()
        for piece in (b"a", b"b", b"c"):
            await exchange.send(piece)
            assert await exchange.read() == piece
        await exchange.end()
        assert await exchange.read() == b""


async def test_a_server_that_closed_before_it_read_all_is_told_by_its_response(
    server: ScriptedServer, connections: Connections
) -> None:
    server.handler = answering(b"")
    async with await connections.exchange(server.origin) as exchange:
        await exchange.send_head(b"POST", b"/", [(b"Content-Length", b"%d" % (1000 * MIB))])
        while await exchange.send(b"x" * MIB):
            pass
        with pytest.raises(ConnectionBroken):
            await exchange.response()


async def test_who_sends_waits_for_a_server_that_does_not_read(
    server: ScriptedServer, connections: Connections
) -> None:
    read_on = asyncio.Event()

    async def handler(conversation: Conversation) -> None:
        await conversation.head()
        await read_on.wait()
        await conversation.exactly(24 * MIB)
        await conversation.say(OK)

    server.handler = handler
    sent = 0

    async with await connections.exchange(server.origin) as exchange:
        await exchange.send_head(b"POST", b"/", [(b"Content-Length", b"%d" % (24 * MIB))])

        async def send() -> None:
            nonlocal sent
            while sent < 24:
                await exchange.send(b"x" * MIB)
                sent += 1
            await exchange.end()

        sending = asyncio.create_task(send())
        await _stands_still(lambda: sent)
        assert sent < 20
        read_on.set()
        assert (await exchange.response()).status == 200
        await sending


async def test_a_server_waits_for_who_does_not_read(server: ScriptedServer, connections: Connections) -> None:
    said = 0

    async def handler(conversation: Conversation) -> None:
        nonlocal said
        await conversation.head()
        await conversation.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (24 * MIB))
        for _ in range(24):
            await conversation.say(b"x" * MIB)
            said += 1

    server.handler = handler
    async with await connections.exchange(server.origin) as exchange:
        await exchange.send_head(b"GET", b"/", [])
        await exchange.end()
        await exchange.response()
        await _stands_still(lambda: said)
        assert said < 20
        assert sum([len(piece) async for piece in exchange.body()]) == 24 * MIB


async def _stands_still(count: Callable[[], int]) -> None:
    """Return when a number has been above zero, and the same for twenty turns of the loop that do something."""
    same, last = 0, 0
    while same < 20:
        await asyncio.sleep(0.01)
        same, last = (same + 1, last) if last and count() == last else (0, count())


@pytest.mark.parametrize(("length", "body"), [(2, b"abc"), (4, b"abc")])
async def test_a_body_of_another_length_than_stated_is_never_taken_for_a_whole_one(
    server: ScriptedServer, connections: Connections, length: int, body: bytes
) -> None:
    received = []

    async def handler(conversation: Conversation) -> None:
        received.append(await conversation.reader.read())

    server.handler = handler

    async def send() -> None:
        async with await connections.exchange(server.origin) as exchange:
            await exchange.send_head(b"POST", b"/", [(b"Content-Length", b"%d" % length)])
            await exchange.send(body)
            await exchange.end()

    with pytest.raises(InvalidRequest):
        await send()
    await until(lambda: asyncio.sleep(0, server.ended))
    assert len(b"".join(received).partition(b"\r\n\r\n")[2]) != length


async def test_a_head_that_is_refused_is_not_sent(server: ScriptedServer, connections: Connections) -> None:
    async def handler(conversation: Conversation) -> None:
        assert await conversation.gone()

    server.handler = handler
    async with await connections.exchange(server.origin) as exchange:
        with pytest.raises(InvalidRequest):
            await exchange.send_head(b"GET", b"/", [(b"X", b"a\r\nb: c")])
    assert not exchange.sent


@pytest.mark.parametrize("headers", [[(b"X", b"a\r\nb: c")], [], [(b"Content-Length", b"5")]])
async def test_a_whole_request_that_is_refused_is_not_sent(
    server: ScriptedServer, connections: Connections, headers: list[tuple[bytes, bytes]]
) -> None:
    async def handler(conversation: Conversation) -> None:
        assert await conversation.gone()

    server.handler = handler
    async with await connections.exchange(server.origin) as exchange:
        with pytest.raises(InvalidRequest):
            exchange.send_whole(b"POST", b"/", headers, b"body")
    assert not exchange.sent
