"""Which connection a request gets, where it leads, and when there is none."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from model_registry.http11.addresses import IPAddress, Origin
from model_registry.http11.connections import Connections
from model_registry.http11.errors import ConnectionBroken, NotConnected
from support.nats_access import Authority
from support.scripted_server import Conversation, ScriptedServer, scripted_server
from support.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="module")

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


async def answer_all(conversation: Conversation) -> None:
    while True:
        await conversation.head()
        await conversation.say(OK)


async def once(connections: Connections, origin: Origin, *, fresh: bool = False) -> tuple[bool, bytes]:
    """Whether the connection was a kept one, and the body."""
    async with await connections.exchange(origin, fresh=fresh) as exchange:
        await exchange.send_head(b"GET", b"/", [])
        await exchange.end()
        await exchange.response()
        return exchange.reused, b"".join([piece async for piece in exchange.body()])


@pytest_asyncio.fixture(loop_scope="module")
async def make() -> AsyncIterator[Callable[..., Connections]]:
    made: list[Connections] = []

    def connections(**options: Any) -> Connections:
        made.append(Connections(**options))
        return made[-1]

    yield connections
    for one in made:
        await one.aclose()


Make = Callable[..., Connections]


async def test_requests_at_once_have_a_connection_each_and_idle_ones_are_kept(
    server: ScriptedServer, make: Make
) -> None:
    server.handler = answer_all
    connections = make(most_idle=3)
    await asyncio.gather(*(once(connections, server.origin) for _ in range(5)))
    assert len(server.connections) == 5
    await until(lambda: asyncio.sleep(0, server.ended == 2))

    assert await asyncio.gather(*(once(connections, server.origin) for _ in range(3))) == [(True, b"ok")] * 3
    assert await once(connections, server.origin, fresh=True) == (False, b"ok")


async def test_idle_connections_are_closed_in_time(server: ScriptedServer, make: Make) -> None:
    server.handler = answer_all
    connections = make(idle_seconds=0.05)
    await asyncio.gather(*(once(connections, server.origin) for _ in range(3)))
    await until(lambda: asyncio.sleep(0, server.ended == 3))


async def test_a_connection_that_the_server_closed_is_not_used_again(server: ScriptedServer, make: Make) -> None:
    """Even if the loop has not noticed yet: the socket is asked."""
    server.handler = answer_all
    connections = make()
    await once(connections, server.origin)
    raw = server.connections[0].writer.get_extra_info("socket")
    with socket.fromfd(raw.fileno(), raw.family, raw.type) as same:
        same.shutdown(socket.SHUT_WR)

    assert await once(connections, server.origin) == (False, b"ok")


async def test_what_a_server_says_unasked_answers_nothing(server: ScriptedServer, make: Make) -> None:
    async def handler(conversation: Conversation) -> None:
        await conversation.head()
        await conversation.say(OK)
        await conversation.say(OK.replace(b"ok", b"no"))
        await answer_all(conversation)

    server.handler = handler
    connections = make()
    assert await once(connections, server.origin) == (False, b"ok")
    await until(lambda: asyncio.sleep(0, server.ended))
    assert await once(connections, server.origin) == (False, b"ok")


async def test_a_connection_that_closes_before_anything_was_sent_says_so(server: ScriptedServer, make: Make) -> None:
    async def handler(conversation: Conversation) -> None:
        """Close at once."""

    server.handler = handler
    async with await make().exchange(server.origin) as exchange:
        await until(lambda: asyncio.sleep(0.01, server.ended))
        await exchange.send_head(b"POST", b"/", [(b"Content-Length", b"1")])
        await exchange.send(b"x")
        with pytest.raises(ConnectionBroken) as broken:
            await exchange.response()
    assert (exchange.sent, broken.value.began) == (False, False)


async def test_nobody_there_is_no_connection(make: Make) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        origin = Origin("http", "127.0.0.1", closed.getsockname()[1])
        with pytest.raises(NotConnected, match=r"127\.0\.0\.1 port \d+: "):
            await make().exchange(origin)


@pytest.mark.parametrize("host", ["169.254.169.254", "2852039166", "0xA9FEA9FE", "::ffff:169.254.169.254", "fe80::1"])
async def test_a_name_is_judged_by_what_it_resolves_to(make: Make, host: str) -> None:
    with pytest.raises(NotConnected, match="refused"):
        await make().exchange(Origin("http", host, 80))


async def test_of_several_addresses_the_refused_are_left_out(
    server: ScriptedServer, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.handler = answer_all
    _resolves_to(monkeypatch, "127.0.0.2", "127.0.0.1")
    tried: list[str] = []

    def refuses(address: IPAddress) -> str | None:
        tried.append(str(address))
        return "it is odd" if str(address) == "127.0.0.2" else None

    assert await once(make(refuses=refuses), Origin("http", "lstm.example", server.port)) == (False, b"ok")
    assert tried == ["127.0.0.2", "127.0.0.1"]


async def test_the_next_address_is_tried_where_one_refuses(
    server: ScriptedServer, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.handler = answer_all
    _resolves_to(monkeypatch, "::1", "127.0.0.1")
    assert await once(make(), Origin("http", "lstm.example", server.port)) == (False, b"ok")


def _resolves_to(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    found = [(0, 0, 0, "", (address, 0)) for address in addresses]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_arguments, **_named: found)


async def test_a_name_server_that_does_not_answer_holds_nobody_up(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    answer = threading.Event()

    def hanging(host: str, *_arguments: object, **_named: object) -> list[object]:
        asked.append(host)
        answer.wait()
        return []

    monkeypatch.setattr(socket, "getaddrinfo", hanging)
    connections = make(connect_seconds=0.05)
    origin = Origin("http", "lstm.example", 80)
    outcomes = await asyncio.gather(*(connections.exchange(origin) for _ in range(100)), return_exceptions=True)
    answer.set()

    assert {str(outcome) for outcome in outcomes} == {"the name lstm.example was not resolved within 0.05 s"}
    assert asked == ["lstm.example"]


async def test_a_name_that_is_none_is_no_connection(make: Make) -> None:
    with pytest.raises(NotConnected, match="cannot be resolved"):
        await make().exchange(Origin("http", "a" * 64 + ".example", 80))


@pytest.fixture
def full() -> Iterator[Origin]:
    """A server that accepts nobody: its queue is full."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        waiting = []
        for _ in range(8):
            one = socket.socket()
            one.settimeout(0)
            one.connect_ex(listening.getsockname())
            waiting.append(one)
        yield Origin("http", "127.0.0.1", listening.getsockname()[1])
        for one in waiting:
            one.close()


async def test_a_server_that_does_not_accept_is_given_up_in_time(make: Make, full: Origin) -> None:
    with pytest.raises(NotConnected, match="does not answer"):
        await make(connect_seconds=0.1).exchange(full)


async def test_over_ipv6(make: Make) -> None:
    try:
        async with scripted_server("::1") as served:
            served.handler = answer_all
            connections = make()
            assert await once(connections, served.origin) == (False, b"ok")
            assert await once(connections, served.origin) == (True, b"ok")
    except OSError:
        pytest.skip("this machine has no IPv6")


@pytest_asyncio.fixture(loop_scope="module")
async def tls(tmp_path: Path) -> AsyncIterator[tuple[ScriptedServer, Authority]]:
    """A server with a certificate for 127.0.0.1."""
    authority = Authority(tmp_path, "authority")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*authority.sign("server"))
    async with scripted_server(tls=context) as served:
        served.handler = answer_all
        yield served, authority


async def test_tls_with_a_certificate_of_a_known_authority(tls: tuple[ScriptedServer, Authority], make: Make) -> None:
    served, authority = tls
    connections = make(ssl_context=ssl.create_default_context(cafile=authority.certificate))
    assert await once(connections, served.origin) == (False, b"ok")
    assert await once(connections, served.origin) == (True, b"ok")


async def test_tls_with_any_other_certificate_is_no_connection(
    tls: tuple[ScriptedServer, Authority], make: Make
) -> None:
    served, authority = tls
    with pytest.raises(NotConnected, match="certificate"):
        await make().exchange(served.origin)
    known = make(ssl_context=ssl.create_default_context(cafile=authority.certificate))
    with pytest.raises(NotConnected, match="certificate"):
        await known.exchange(Origin("https", "localhost", served.port))


async def test_tls_where_there_is_none_is_no_connection(server: ScriptedServer, make: Make) -> None:
    server.handler = answer_all
    with pytest.raises(NotConnected):
        await make(connect_seconds=0.5).exchange(Origin("https", "127.0.0.1", server.port))
