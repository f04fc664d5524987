"""Sends the requests of hostile callers, in a separate process: `python benchmarks/attacks.py NAME PORT KEY`.

Runs until it is ended, and prints `under way` once it has begun. `hostile.py` does the measuring.
"""

from __future__ import annotations

import json
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress

LOOPBACK = "127.0.0.1"
MIB = 2**20

Send = Callable[[int, str], None]
ATTACKS: dict[str, tuple[int, Send]] = {}
"""Name -> number of concurrent callers, and what each of them repeats."""


def attack(name: str, at_once: int) -> Callable[[Send], Send]:
    """Register an attack."""

    def add(send: Send) -> Send:
        ATTACKS[name] = (at_once, send)
        return send

    return add


def post(port: int, path: str, body: bytes, key: str = "", method: str = "POST") -> None:
    """Send a complete request, and read the whole response, whatever its status."""
    authorization = f"Authorization: Bearer {key}\r\n" if key else ""
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: r\r\nContent-Type: application/json\r\nConnection: close\r\n"
        f"{authorization}Content-Length: {len(body)}\r\n\r\n"
    )
    exchange(port, head.encode() + body)


def exchange(port: int, request: bytes, seconds: float = 120) -> None:
    """Send these bytes, and read until the server closes."""
    with socket.create_connection((LOOPBACK, port), timeout=seconds) as connection, suppress(OSError):
        connection.sendall(request)
        while connection.recv(MIB):
            pass


def fields(size: int) -> bytes:
    """An object with very many unknown fields."""
    count = size // 11
    return json.dumps({str(number): 1 for number in range(count)}).encode()


@attack("12.9 MB of fields to select", 4)
def _select_large(port: int, _key: str) -> None:
    post(port, "/api/models/select", SELECT_LARGE)


@attack("64 KiB of fields to select", 8)
def _select_small(port: int, _key: str) -> None:
    post(port, "/api/models/select", SELECT_SMALL)


@attack("29 MB to providers, no key", 4)
def _row(port: int, _key: str) -> None:
    post(port, "/api/providers", LARGE_LIST)


@attack("30 MB of headers", 4)
def _headers(port: int, _key: str) -> None:
    exchange(port, b"GET /api/models HTTP/1.1\r\nX: " + b"a" * 30 * MIB)


@attack("30 MB of URL", 4)
def _url(port: int, _key: str) -> None:
    exchange(port, b"GET /" + b"a" * 30 * MIB)


@attack("400 half-sent requests, 256 files", 400)
def _half(port: int, _key: str) -> None:
    exchange(port, b"POST /api/models/select HTTP/1.1\r\nContent-Length: 100\r\n\r\n{")


@attack("8,000 requests in one piece", 4)
def _pipelined(port: int, _key: str) -> None:
    exchange(port, b"GET /api/models HTTP/1.1\r\nHost: r\r\n\r\n" * 8000)


@attack("large answers that nobody reads", 20)
def _unread(port: int, _key: str) -> None:
    with socket.create_connection((LOOPBACK, port), timeout=120) as connection, suppress(OSError):
        connection.sendall(b"GET /api/catalog HTTP/1.1\r\nHost: r\r\n\r\n" * 20)
        time.sleep(60)


@attack("dry run of 20,000 models, callers leave", 4)
def _dry_run(port: int, key: str) -> None:
    with socket.create_connection((LOOPBACK, port), timeout=120) as connection, suppress(OSError):
        head = f"POST /api/tensorzero/import?dry_run=1 HTTP/1.1\r\nAuthorization: Bearer {key}\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(PROJECT)}\r\n\r\n"
        connection.sendall(head.encode() + PROJECT)
        connection.settimeout(3)
        connection.recv(100)


@attack("dry run of 10,000 offers, the most", 4)
def _offers(port: int, key: str) -> None:
    post(port, "/api/models/import?dry_run=1", OFFERS, key)


@attack("dry run of 50,000 offers, refused", 4)
def _too_many_offers(port: int, key: str) -> None:
    post(port, "/api/models/import?dry_run=1", OFFERS, key)


@attack("16 MB of nested lists to import", 4)
def _nested(port: int, key: str) -> None:
    post(port, "/api/models/import?dry_run=1", NESTED, key)


@attack("differences of old revisions, no key", 20)
def _difference(port: int, _key: str) -> None:
    post(port, "/api/tensorzero/diff?from=1&to=600&format=text", b"", method="GET")


@attack("pages of a log of 100,000, no key", 60)
def _log(port: int, _key: str) -> None:
    post(port, "/api/history?limit=1", b"", method="GET")


@attack("no-cache reads, the database hangs", 60)
def _no_cache(port: int, _key: str) -> None:
    exchange(port, b"GET /api/models?limit=1 HTTP/1.1\r\nConnection: close\r\nCache-Control: no-cache\r\n\r\n")


def _project() -> bytes:
    models = "\n".join(
        f'[models.m{n}]\nrouting = ["p"]\n[models.m{n}.providers.p]\ntype = "openai"\nmodel_name = "m{n}"'
        for n in range(20_000)
    )
    return json.dumps({"files": {"tensorzero.toml": models}}).encode()


def _many_offers(number: int) -> bytes:
    offer = {"provider": "p", "provider_type": "openai", "fields": {"context_length": 1000, "description": "x" * 50}}
    return json.dumps({"source": "hostile", "offers": [offer | {"model_id": f"m{n}"} for n in range(number)]}).encode()


def _again(send: Send, port: int, key: str) -> None:
    while True:
        with suppress(OSError):
            send(port, key)
        time.sleep(0.01)


if __name__ == "__main__":
    name, port, key = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    SELECT_LARGE, SELECT_SMALL = fields(12_900_000), fields(60_000)
    LARGE_LIST = b"[" + b"1," * (14 * MIB) + b"1]"
    NESTED = b'{"source": "x", "offers": [' + b"[]," * (5 * MIB) + b"[]]}"
    PROJECT = _project() if "dry run of 20" in name else b""
    OFFERS = _many_offers(50_000 if "refused" in name else 10_000) if "offers" in name else b""
    at_once, send = ATTACKS[name]
    for _ in range(at_once):
        threading.Thread(target=_again, args=(send, port, key), daemon=True).start()
    print("under way", flush=True)
    time.sleep(3600)
