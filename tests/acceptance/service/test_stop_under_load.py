"""The service as a process under hostile callers: it answers other callers, and stops when it is asked to."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from support.processes import COMMAND, Program, Service, StartService, client_of, wait_until

SHORT = {"MODEL_REGISTRY_SHUTDOWN_SECONDS": "3"}
STOP_SECONDS = 10.0
"""The documented default; the services of these tests have shorter ones."""

HALF_A_HEAD = b"GET /api/models HTTP/1.1\r\nHost: r\r\n"
HALF_A_BODY = b"POST /api/models/select HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"


def connected(service: Service) -> socket.socket:
    address = urlsplit(service.url)
    return socket.create_connection((str(address.hostname), address.port or 0), timeout=20)


def large_project() -> dict[str, object]:
    """An import that takes far longer than the service has to stop."""
    models = "\n".join(
        f'[models.m{n}]\nrouting = ["p"]\n[models.m{n}.providers.p]\ntype = "openai"\nmodel_name = "m{n}"'
        for n in range(40_000)
    )
    return {"files": {"tensorzero.toml": models}}


def in_background(exits: ExitStack, service: Service, method: str, path: str, **more: object) -> None:
    """Send a request that nobody waits for."""

    def send() -> None:
        with suppress(httpx.HTTPError), client_of(service.url, str(service.client.headers["Authorization"])[7:]) as own:
            own.request(method, path, **more)  # type: ignore[arg-type] # what httpx takes

    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    exits.callback(thread.join, 20)


def in_flight(service: Service) -> bool:
    """Whether the process is busy with the import."""
    return any(t.user_time > 0.5 for t in service.program.family()[0].threads()[1:])


@pytest.fixture
def hang(stack: Any) -> Iterator[Callable[[], None]]:
    """Make PostgREST accept connections without responding, until the end of the test."""
    pid = stack.postgrest.pid
    yield lambda: os.kill(pid, signal.SIGSTOP)
    os.kill(pid, signal.SIGCONT)


def test_it_ends_in_time_with_all_of_it_in_flight(start_service: StartService) -> None:
    service = start_service(**SHORT)
    etag = service.client.get("/api/catalog").headers["etag"]
    with ExitStack() as exits:
        for half in (HALF_A_HEAD, HALF_A_BODY, b""):
            exits.enter_context(connection := connected(service))
            connection.sendall(half)
        unread = exits.enter_context(connected(service))
        unread.sendall(b"GET /api/catalog HTTP/1.1\r\nHost: r\r\n\r\n" * 20)
        in_background(exits, service, "GET", "/api/catalog?wait=30", headers={"If-None-Match": etag})
        in_background(exits, service, "GET", "/api/tensorzero/config?wait=30", headers={"If-None-Match": '"x"'})
        for _ in range(3):
            in_background(exits, service, "POST", "/api/tensorzero/import?dry_run=true", json=large_project())
        wait_until(lambda: in_flight(service))
        assert service.client.get("/api/providers").status_code == 200
        assert service.program.stop(signal.SIGTERM, STOP_SECONDS) == 0


def test_it_ends_in_time_with_a_database_that_hangs(start_service: StartService, hang: Callable[[], None]) -> None:
    service = start_service(**SHORT)
    service.post("/api/providers", {"name": "p", "type": "openai"})
    hang()
    with ExitStack() as exits:
        for _ in range(5):
            in_background(exits, service, "GET", "/api/history")
            in_background(exits, service, "GET", "/api/providers", headers={"Cache-Control": "no-cache"})
            in_background(exits, service, "POST", "/api/providers", json={"name": "q", "type": "openai"})
        stale = service.client.get("/api/providers", headers={"Cache-Control": "no-cache"})
        assert stale.json()["count"] == 1
        assert "x-registry-stale" in stale.headers
        assert service.program.stop(signal.SIGTERM, STOP_SECONDS) == 0


def test_four_hundred_half_sent_requests_and_few_files_leave_room_for_others(
    service_environment: dict[str, str], tmp_path: Path
) -> None:
    argv = ["sh", "-c", f"ulimit -n 256; exec {COMMAND} serve --port 0"]
    program = Program(argv, tmp_path / "few-files.log", service_environment | SHORT)
    with ExitStack() as exits:
        exits.callback(program.end)
        url = program.wait_for(r'"url": "(http://[^"]+)"')[1]
        client = exits.enter_context(client_of(url, None))
        service = Service(program, url, client)
        for number in range(400):
            connection = exits.enter_context(closing(connected(service)))
            connection.sendall(HALF_A_BODY if number % 2 else HALF_A_HEAD)
        for _ in range(20):
            with client_of(url, None) as innocent:
                assert innocent.get("/api/providers").status_code == 200
        assert "Too many open files" not in program.said
        assert program.stop(signal.SIGTERM, STOP_SECONDS) == 0
