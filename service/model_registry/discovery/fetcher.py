"""Sends the questions of sources over HTTP: many side by side, each bounded in time and size.

Redirects are not followed and proxies not used: a source must not lead us elsewhere. Link-local addresses and the
metadata services of clouds are refused when the connection is made (`http11/addresses.py`).
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

from model_registry import __version__
from model_registry.entities.secret_text import mask_secrets
from model_registry.errors import SourceUnreadable
from model_registry.http11.addresses import Origin
from model_registry.http11.connections import Connections
from model_registry.http11.errors import ConnectionBroken, InvalidRequest, NotConnected
from model_registry.http11.exchange import Exchange
from model_registry.imports.sources.asking import Question
from model_registry.store.json_bytes import json_bytes

LARGEST = 16 * 2**20
"""Bytes of one answer. LiteLLM's whole price map has 4 MB."""
_SMALL = 2**20
"""Bytes up to which any number of answers is held at once."""
_MOST_LARGE = 4
"""Larger answers read at once; others wait. Together with 32 small ones they take 100 MB."""
_LONGEST_TEXT = 300

_NOT_MODIFIED = 304
_OK = range(200, 300)
_REDIRECTS = range(300, 400)

Headers = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Fetched:
    """An answer. Without a body: not modified."""

    body: bytes | None
    etag: str | None = None
    last_modified: str | None = None


class Fetchers:
    """Makes a `Fetcher` for each asking: no connection outlasts it, so there are never more than askings."""

    def __init__(self, ssl_context: ssl.SSLContext) -> None:
        self._ssl_context = ssl_context
        self._large = asyncio.Semaphore(_MOST_LARGE)

    @asynccontextmanager
    async def fetcher(self) -> AsyncIterator[Fetcher]:
        """Make one, and close its connection in the end."""
        connections = Connections(most_idle=1, ssl_context=self._ssl_context)
        try:
            yield Fetcher(connections, self._large)
        finally:
            await connections.aclose()


class Fetcher:
    """Sends the questions of one asking, over one connection as far as the server keeps it."""

    def __init__(self, connections: Connections, large: asyncio.Semaphore) -> None:
        self._connections = connections
        self._large = large

    async def fetch(self, question: Question, headers: Headers) -> Fetched:
        """Send a question, and read the whole answer.

        No retry, and no time limit of its own: the source has one for all its questions. Errors: SourceUnreadable,
        with the HTTP status as `status`, where there is one.
        """
        url = question.url
        try:
            origin = Origin.of(url)
            async with await self._connections.exchange(origin) as exchange:
                return await self._exchanged(exchange, question, headers)
        except (NotConnected, ConnectionBroken, InvalidRequest, ValueError) as error:
            raise SourceUnreadable(f"{url} cannot be read: {_short(str(error))}") from error

    async def _exchanged(self, exchange: Exchange, question: Question, headers: Headers) -> Fetched:
        content = b"" if question.body is None else json_bytes(dict(question.body))
        method = b"GET" if question.body is None else b"POST"
        sent = {"Accept": "application/json", "User-Agent": f"model-registry/{__version__}", **headers}
        if question.body is not None:
            sent |= {"Content-Type": "application/json", "Content-Length": str(len(content))}
        parts = urlsplit(question.url)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        raw = [(name.encode(), value.encode()) for name, value in sent.items()]
        await exchange.send_head(method, target.encode(), raw)
        if content:
            await exchange.send(content)
        await exchange.end()
        head = await exchange.response()
        answered = {name.lower().decode("latin-1"): value.decode("latin-1") for name, value in head.headers}
        if head.status == _NOT_MODIFIED:
            return Fetched(None)
        _expect_good(question.url, head.status, answered)
        body = await self._body(exchange, question.url)
        return Fetched(body, _validator(answered.get("etag")), _validator(answered.get("last-modified")))

    async def _body(self, exchange: Exchange, url: str) -> bytes:
        pieces, size = [], 0
        while piece := await exchange.read():
            pieces.append(piece)
            size += len(piece)
            if size > _SMALL:
                async with self._large:
                    return await _rest(exchange, url, pieces, size)
        return b"".join(pieces)


async def _rest(exchange: Exchange, url: str, pieces: list[bytes], size: int) -> bytes:
    while piece := await exchange.read():
        pieces.append(piece)
        size += len(piece)
        if size > LARGEST:
            raise SourceUnreadable(f"{url} answers with more than {LARGEST >> 20} MB")
    return b"".join(pieces)


def _expect_good(url: str, status: int, headers: Headers) -> None:
    """Refuse every answer but a good one. Errors: SourceUnreadable."""
    if status in _OK:
        if headers.get("content-encoding", "identity") != "identity":
            raise SourceUnreadable(f"{url} answers in an encoding that was not asked for")
        return
    if status in _REDIRECTS:
        where = _short(headers.get("location", "somewhere"))
        message = (
            f"{url} answers {status}, a redirect to {where}, which is not followed: use that address if it is meant"
        )
        raise SourceUnreadable(message, status=status)
    raise SourceUnreadable(f"{url} cannot be read: it answers {status}", status=status)


def _validator(value: str | None) -> str | None:
    """Return an ETag or a date that may be kept and sent again; None for one that is long or looks like a secret."""
    if value is None or len(value) > _LONGEST_TEXT or not value.isprintable() or mask_secrets(value) != value:
        return None
    return value


def _short(text: str) -> str:
    return mask_secrets("".join(c if c.isprintable() else "?" for c in text[:_LONGEST_TEXT]))
