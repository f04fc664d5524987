"""The connections to PostgREST, against a server with responses set by the test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import httpx2
import pytest

from model_registry.store.http11_transport import Http11Transport, reachable
from support.waiting import until

WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\nX-Seen: yes\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n"


class Server:
    """Answers each request with the next of these; nothing left: it stays silent. None: it closes."""

    def __init__(self) -> None:
        self.answers: list[bytes | None] = []
        self.requests: list[bytes] = []
        self.connections: list[asyncio.StreamWriter] = []
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections.append(writer)
        while data := await reader.read(65536):
            self.requests.append(data)
            await asyncio.sleep(0)
            answer = self.answers.pop(0) if self.answers else b""
            if answer is None:
                break
            writer.write(answer)
        writer.close()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    made = Server()
    listening = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = listening.sockets[0].getsockname()[1]
    yield made
    for connection in made.connections:
        connection.close()
    listening.close()
    await listening.wait_closed()


@pytest.fixture
async def connect(server: Server) -> AsyncIterator[Callable[..., httpx2.AsyncClient]]:
    made: list[httpx2.AsyncClient] = []

    def client(limit: int = 4, seconds: float = 5.0) -> httpx2.AsyncClient:
        url = httpx2.URL(f"http://127.0.0.1:{server.port}")
        made.append(httpx2.AsyncClient(transport=Http11Transport(url, limit), base_url=url, timeout=seconds))
        return made[-1]

    yield client
    for one in made:
        await one.aclose()


Connect = Callable[..., httpx2.AsyncClient]


async def test_one_connection_serves_one_request_after_the_other_each_sent_in_one_piece(
    server: Server, connect: Connect
) -> None:
    client = connect()
    server.answers = [WHOLE, CHUNKED]
    first = await client.post("/rpc/f?x=1", content=b"body", headers={"X-Mine": "1"})
    second = await client.get("/")

    assert (first.status_code, first.text) == (200, "ok")
    assert (second.status_code, second.text, second.headers["x-seen"]) == (201, "ok", "yes")
    assert len(server.connections) == 1
    assert len(server.requests) == 2
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /rpc/f?x=1 HTTP/1.1\r\n")
    assert b"\r\nX-Mine: 1\r\n" in head + b"\r\n"
    assert body == b"body"


async def test_more_requests_than_connections_wait_for_their_turn(server: Server, connect: Connect) -> None:
    client = connect(limit=2)
    server.answers = [WHOLE] * 10
    answers = await asyncio.gather(*(client.get("/") for _ in range(10)))

    assert {answer.text for answer in answers} == {"ok"}
    assert len(server.connections) <= 2


@pytest.mark.parametrize("last", [WHOLE, WHOLE.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")])
async def test_a_connection_that_was_closed_meanwhile_is_not_used_again(
    server: Server, connect: Connect, last: bytes
) -> None:
    client = connect()
    server.answers = [last, WHOLE]
    await client.get("/")
    server.connections[0].close()
    await server.connections[0].wait_closed()
    await asyncio.sleep(0.01)  # until our end knows it too

    assert (await client.get("/")).text == "ok"
    assert len(server.connections) == 2


@pytest.mark.parametrize(
    ("answer", "error"),
    [(None, httpx2.ReadError), (b"220 mail.example ESMTP\r\n", httpx2.RemoteProtocolError), (b"", httpx2.ReadTimeout)],
    ids=["closes", "speaks otherwise", "is silent"],
)
async def test_what_goes_wrong_is_an_error_of_httpx_and_the_next_request_is_well(
    server: Server, connect: Connect, answer: bytes | None, error: type[Exception]
) -> None:
    client = connect(limit=1, seconds=0.2)
    server.answers = [answer, WHOLE]
    with pytest.raises(error):
        await client.get("/")

    assert (await client.get("/")).text == "ok"


async def test_an_answer_to_a_request_that_was_given_up_is_not_taken_for_the_next_ones(
    server: Server, connect: Connect
) -> None:
    client = connect(limit=1)
    given_up = asyncio.create_task(client.get("/"))
    await until(lambda: asyncio.sleep(0, server.requests))
    given_up.cancel()
    await asyncio.wait([given_up])
    server.answers = [CHUNKED]

    assert (await client.get("/")).status_code == 201
    assert len(server.connections) == 2


async def test_with_nobody_there_connecting_is_an_error() -> None:
    async with httpx2.AsyncClient(transport=Http11Transport(httpx2.URL("http://127.0.0.1:1"), 1)) as client:
        with pytest.raises(httpx2.ConnectError):
            await client.get("http://127.0.0.1:1/")


def test_what_needs_tls_or_a_proxy_is_left_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "all_proxy", "no_proxy", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    assert reachable(httpx2.URL("http://postgrest:3000"))
    assert not reachable(httpx2.URL("https://postgrest"))

    monkeypatch.setenv("http_proxy", "http://proxy.example:3128")
    monkeypatch.setenv("no_proxy", "localhost,127.0.0.1")
    assert not reachable(httpx2.URL("http://postgrest:3000"))
    assert reachable(httpx2.URL("http://127.0.0.1:3000"))
