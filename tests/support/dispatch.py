"""A registry that dispatches, on a socket of its own, with model services in its tables."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from model_registry.api.http_protocol import Arrivals
from model_registry.entities.api_key import hash_of, new_secret
from model_registry.entities.change import Operation
from support.raw_http import listening
from support.replica import ADMIN_KEY, Replica
from support.scripted_server import Conversation, ScriptedServer, scripted_server
from support.waiting import until

ALL = ["prediction", "multistep_prediction", "forecasting", "training"]


@dataclass(frozen=True)
class Dispatching:
    """A replica that listens, and an administrator's client for it."""

    replica: Replica
    port: int
    client: httpx.AsyncClient

    async def service(self, model_type: str = "LSTM", **fields: Any) -> str:
        """Add a model service. Returns its id."""
        row_id = str(uuid.uuid4())
        await self._write("model_services", row_id, {"model_type": model_type, **fields})
        return row_id

    async def instance(self, service: str, service_id: str, url: str, **fields: Any) -> None:
        """Add an instance to it. It is not probed: what is known of it comes from requests alone."""
        row: dict[str, Any] = {"service_id": service_id, "model_service_id": service, "service_url": url}
        row |= {"capabilities": ALL, "health": {"check": "none"}, **fields}
        await self._write("service_instances", str(uuid.uuid4()), row)

    async def key(self, scope: str, services: list[str] | None = None) -> str:
        """Make an API key with this scope."""
        secret = new_secret()
        row = {"name": f"{scope} key", "key_hash": hash_of(secret), "scopes": [scope], "services": services}
        await self._write("api_keys", str(uuid.uuid4()), row)
        return secret

    def raw(self, method: str, path: str, body: bytes = b"", **headers: str) -> bytes:
        """A request of an administrator as bytes, with these headers; underscores stand for hyphens."""
        given = {"host": "registry", "authorization": f"Bearer {ADMIN_KEY}", "content-length": str(len(body))}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in given.items() if value)]
        return "\r\n".join([*lines, "", ""]).encode() + body

    async def _write(self, table: str, row_id: str, row: dict[str, Any]) -> None:
        await self.replica.state.registry.write([Operation(table, "insert", row_id, row)], actor="test")


@asynccontextmanager
async def dispatching(replica: Replica, arrivals: Arrivals | None = None) -> AsyncIterator[Dispatching]:
    """Let a replica listen."""
    headers = {"Authorization": f"Bearer {ADMIN_KEY}"}
    async with (
        listening(replica.app, arrivals or Arrivals(1000)) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=20) as client,
    ):
        yield Dispatching(replica, port, client)


def url_of(server: ScriptedServer) -> str:
    """Its base address."""
    return f"http://127.0.0.1:{server.port}"


def response(body: bytes, *headers: bytes, status: bytes = b"200 OK") -> bytes:
    """A response as bytes."""
    lines = [b"HTTP/1.1 " + status, b"content-length: %d" % len(body), *headers]
    return b"\r\n".join([*lines, b"", body])


@dataclass
class Gate:
    """Requests that have come to a server and wait there."""

    server: ScriptedServer
    opened: asyncio.Event
    now: int = 0
    most: int = 0


@asynccontextmanager
async def gated_server() -> AsyncIterator[Gate]:
    """A server that answers `{}` to a prediction as soon as its gate is open."""
    async with scripted_server() as server:
        gate = Gate(server, asyncio.Event())

        async def answer(conversation: Conversation) -> None:
            await conversation.head()
            gate.now += 1
            gate.most = max(gate.most, gate.now)
            opened, gone = asyncio.ensure_future(gate.opened.wait()), asyncio.ensure_future(_gone(conversation))
            try:
                await asyncio.wait({opened, gone}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                gate.now -= 1
                opened.cancel()
                gone.cancel()
            if gate.opened.is_set():
                await conversation.say(response(b"{}", b"connection: close"))

        server.handler = answer
        yield gate


async def _gone(conversation: Conversation) -> None:
    """Return when the other side has closed. What it sends is thrown away."""
    while await conversation.reader.read(2**16):
        pass


async def until_so(look: Callable[[], bool]) -> None:
    """Wait until this is true."""

    async def looked() -> bool:
        return look()

    await until(looked)


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The problem document, which must be this one."""
    document: dict[str, Any] = answer.json()
    assert (answer.status_code, document["code"]) == (status, code), document
    return document
