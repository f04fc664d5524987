"""Asks one instance how it is, and what it lists: a GET each, small, bounded, without redirects."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import orjson

from model_registry import __version__
from model_registry.http11.addresses import Origin
from model_registry.http11.connections import Connections
from model_registry.http11.errors import ConnectionBroken, InvalidRequest, NotConnected
from model_registry.http11.response_parser import ResponseHead
from model_registry.services.dispatch.targets import ProbeResult

MOST_BYTES = 64 * 2**10
"""Of an answer to a health check. More is not read, and is no answer."""
MOST_LIST_BYTES = 4 * 2**20
"""Of a list of versions."""
_HEADERS = (
    (b"accept", b"application/json"),
    (b"user-agent", b"model-registry/" + __version__.encode()),
    (b"connection", b"close"),
)
_OWN_HEADER = b"x-registry-revision"
_STATUSES = ("status", "state", "health")
"""Where services say how they are."""
_LONGEST_SHOWN = 100
_OK = 200
_REDIRECTS = range(300, 400)


@dataclass(frozen=True, slots=True)
class Probe:
    """A look at an instance's health."""

    result: ProbeResult
    at: float
    """When it ended, in monotonic seconds."""
    seconds: float
    reached: bool
    """Whether a connection was made: something is there, whatever it answers."""


async def probe(connections: Connections, url: str, path: str, words: Sequence[str], seconds: float) -> Probe:
    """Ask an instance at `url` how it is. Takes `seconds` at most. No error: what goes wrong is the result."""
    started, reached = time.monotonic(), [False]
    try:
        async with asyncio.timeout(seconds):
            head, body = await _get(connections, url, path, MOST_BYTES, reached)
        result = result_of(head, body, words)
    except TimeoutError:
        what = "no answer" if reached[0] else "no connection"
        result = ProbeResult("timeout", detail=f"{what} within {seconds:g} s at {url}{path}")
    except NotConnected as error:
        result = ProbeResult("refused", detail=str(error))
    except (ConnectionBroken, InvalidRequest) as error:
        result = ProbeResult("broken", detail=f"{error}, at {url}{path}")
    now = time.monotonic()
    return Probe(result, now, now - started, reached[0])


async def listed(connections: Connections, url: str, seconds: float) -> bytes | None:
    """The answer to `GET /models`; None when there is none within `seconds`, or another than 200."""
    try:
        async with asyncio.timeout(seconds):
            head, body = await _get(connections, url, "/models", MOST_LIST_BYTES, [False])
    except (TimeoutError, NotConnected, ConnectionBroken, InvalidRequest):
        return None
    return body if head.status == _OK else b""


def result_of(head: ResponseHead, body: bytes | None, words: Sequence[str]) -> ProbeResult:
    """What an answer means; `body` is None when it is too long."""
    if any(name == _OWN_HEADER for name, _ in head.headers):
        return ProbeResult("unexpected_body", detail="a model registry answers there: requests would come back")
    if head.status in _REDIRECTS:
        return ProbeResult("status", head.status, "redirects are not followed: register the address that it leads to")
    if head.status != _OK:
        return ProbeResult("status", head.status)
    if body is None:
        return ProbeResult("unexpected_body", _OK, f"more than {MOST_BYTES // 1024} KiB")
    accepted = {word.lower() for word in words}
    word = _word_in(body, accepted)
    if not body.strip() or not accepted or word.lower() in accepted:
        return ProbeResult("ok", _OK, word)
    says = f"it says {word!r}" if word else "it does not say how it is"
    return ProbeResult("unexpected_body", _OK, f"{says}; accepted: {', '.join(words)}")


def _word_in(body: bytes, accepted: Collection[str]) -> str:
    """The word that an answer holds: its text, its status, or the field that says yes; empty when there is none."""
    try:
        content = orjson.loads(body)
    except ValueError:
        content = body.decode("utf-8", "replace").strip()
    if isinstance(content, dict):
        yes = (name for name, value in content.items() if name.lower() in accepted and value is True)
        content = next((content[name] for name in _STATUSES if isinstance(content.get(name), str)), next(yes, ""))
    return content[:_LONGEST_SHOWN] if isinstance(content, str) else ""


async def _get(
    connections: Connections, url: str, path: str, most: int, reached: list[bool]
) -> tuple[ResponseHead, bytes | None]:
    """One GET on a connection of its own; the body is None when it has more than `most` bytes."""
    exchange = await connections.exchange(Origin.of(url), fresh=True)
    async with exchange:
        reached[0] = True
        await exchange.send_head(b"GET", f"{urlsplit(url).path}{path}".encode(), _HEADERS)
        await exchange.end()
        head = await exchange.response()
        parts, size = [], 0
        async for part in exchange.body():
            size += len(part)
            if size > most:
                return head, None
            parts.append(part)
        return head, b"".join(parts)
