"""Answers that carry an ETag, and the cache that serves them again while what they were made of is unchanged."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from model_registry.errors import PreconditionFailed
from model_registry.snapshot.snapshot import Snapshot
from model_registry.store.json_bytes import json_bytes

JSON = "application/json"
NOT_KEPT = MappingProxyType({"Cache-Control": "no-store"})
"""For answers with parts that move without a change of revision."""


def etag_of(body: bytes) -> str:
    """A strong ETag: equal bytes, equal tag, on every replica."""
    return f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'


def matches(header: str, etag: str) -> bool:
    """Whether an If-None-Match or If-Match header names this tag. An empty header names none."""
    return (
        header == etag
        or header.strip() == "*"
        or any(part.strip().removeprefix("W/") == etag for part in header.split(","))
    )


@dataclass(frozen=True, slots=True)
class CachedBody:
    """An answer, and the tables it was made of."""

    tables: tuple[tuple[str, object], ...]
    """(table name, its stamp then). Not the tables: a cache full of old answers would keep as many old versions."""
    route: str
    etag: str
    media_type: str
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    """Those that go with a 304 too, as ASGI wants them."""

    def holds(self, snapshot: Snapshot) -> bool:
        """Whether the answer would be the same today."""
        tables = snapshot.tables
        for name, stamp in self.tables:  # noqa: SIM110 (a plain loop: this runs for every read, and takes half the time)
            if tables[name].stamp is not stamp:
                return False
        return True


class BodyCache:
    """The answers asked for most recently, by path and query. Bounded in number and in bytes."""

    def __init__(self, entries: int = 2048, size: int = 64 * 2**20) -> None:
        self._entries = entries
        self._size = size
        self._held = 0
        self._cached: OrderedDict[tuple[bytes, bytes], CachedBody] = OrderedDict()

    def get(self, key: tuple[bytes, bytes], snapshot: Snapshot) -> CachedBody | None:
        """The answer to this request, if it is still true."""
        answer = self._cached.get(key)
        if answer is None or not answer.holds(snapshot):
            return None
        self._cached.move_to_end(key)
        return answer

    def put(self, key: tuple[bytes, bytes], cached: CachedBody) -> None:
        """Keep an answer; the oldest ones go."""
        if len(cached.body) > self._size // 2:
            return
        old = self._cached.pop(key, None)
        self._held += len(cached.body) - (len(old.body) if old else 0)
        self._cached[key] = cached
        while len(self._cached) > self._entries or self._held > self._size:
            _, gone = self._cached.popitem(last=False)
            self._held -= len(gone.body)


def cached_response(
    request: Request,
    snapshot: Snapshot,
    body: bytes,
    *,
    tables: Iterable[str],
    media_type: str = JSON,
    headers: Mapping[str, str] = MappingProxyType({}),
) -> Response:
    """A 200 with an ETag (or a 304), kept for the next caller until one of the tables changes.

    `headers` go with it, made of the same tables.
    """
    cached = cached_body(request, snapshot, body, tables=tables, media_type=media_type, headers=headers)
    keep(request, cached)
    return served(request, cached)


def keep(request: Request, answer: CachedBody) -> None:
    """Keep an answer for the next caller who asks the same."""
    cache: BodyCache = request.app.state.bodies
    cache.put((request.scope.get("raw_path") or b"", request.scope["query_string"]), answer)


def cached_body(
    request: Request,
    snapshot: Snapshot,
    body: bytes,
    *,
    tables: Iterable[str],
    media_type: str = JSON,
    headers: Mapping[str, str] = MappingProxyType({}),
) -> CachedBody:
    """An answer with all that makes it last."""
    etag = etag_of(body)
    # no-cache: keep it, but ask whether it still holds. That is what the ETag is for.
    headers = {"ETag": etag, "Cache-Control": "no-cache", **headers}
    return CachedBody(
        tables=tuple((name, snapshot.tables[name].stamp) for name in tables),
        route=getattr(request.scope.get("route"), "path", ""),
        etag=etag,
        media_type=media_type,
        body=body,
        headers=raw_headers(headers),
    )


def raw_headers(headers: Mapping[str, str]) -> tuple[tuple[bytes, bytes], ...]:
    """Headers as ASGI wants them."""
    return tuple((name.lower().encode(), value.encode()) for name, value in headers.items())


def served(request: Request, cached: CachedBody) -> Response:
    """A 200 with an answer, or a 304 when the caller has it."""
    headers = {name.decode(): value.decode() for name, value in cached.headers}
    if matches(request.headers.get("if-none-match", ""), cached.etag):
        return Response(status_code=304, headers=headers)
    return Response(cached.body, 200, headers, cached.media_type)


def json_response(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """An answer that carries no ETag: it is made anew for each caller."""
    return Response(json_bytes(value), status, headers, JSON)


def row_response(view: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """One row as the answer to a write."""
    body = json_bytes(view)
    return Response(body, status, {"ETag": etag_of(body), **(headers or {})}, JSON)


def expect_match(request: Request, view: Mapping[str, Any]) -> None:
    """Refuse unless the caller's If-Match, if there is one, names what they are about to change."""
    if "if-match" in request.headers:
        expect_etag(request, etag_of(json_bytes(view)))


def expect_etag(request: Request, etag: str) -> None:
    """The same, where the row's ETag is made of something else."""
    known = request.headers.get("if-match")
    if known is not None and not matches(known, etag):
        message = "The row has changed since it was read. Read it again, then repeat the change."
        raise PreconditionFailed(message)
