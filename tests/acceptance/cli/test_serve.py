"""`model-registry serve` as a process: its output, its refusals, and its exit."""

from __future__ import annotations

import json
import signal
import socket
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from support.processes import Service, StartProgram, StartService, run, wait_until
from support.waiting import LONGEST


def test_it_says_where_it_listens_answers_there_and_ends_well_on_ctrl_c(start_service: StartService) -> None:
    service = start_service()
    assert service.client.get("/healthz").json() == {"status": "ok"}
    assert service.client.get("/readyz").json()["status"] == "ready"
    assert service.program.stop(signal.SIGINT) == 0
    assert "Traceback" not in service.program.said
    assert "Aborted" not in service.program.said


def begun_request(service: Service, body: bytes) -> socket.socket:
    """A request that the service has begun to process, and whose body is still incomplete."""
    address = urlsplit(service.url)
    connection = socket.create_connection((str(address.hostname), address.port or 0), timeout=LONGEST)
    head = (
        "POST /api/providers HTTP/1.1\r\nHost: registry\r\nContent-Type: application/json\r\n"
        f"Authorization: {service.client.headers['Authorization']}\r\n"
        f"Content-Length: {len(body)}\r\nExpect: 100-continue\r\n\r\n"
    )
    connection.sendall(head.encode())
    assert connection.recv(1000).startswith(b"HTTP/1.1 100")
    return connection


def refuses_connections(service: Service) -> bool:
    address = urlsplit(service.url)
    with socket.socket() as probe:
        return probe.connect_ex((address.hostname, address.port)) != 0


def test_a_running_request_is_finished_before_it_ends(
    start_service: StartService, database: psycopg.Connection
) -> None:
    service = start_service()
    body = json.dumps({"name": "late", "type": "openai"}).encode()
    with closing(begun_request(service, body)) as connection:
        service.program.tell(signal.SIGTERM)
        wait_until(lambda: refuses_connections(service))
        connection.sendall(body)
        assert connection.recv(100_000).startswith(b"HTTP/1.1 201")
    assert service.program.wait_for_end() == 0
    assert "Traceback" not in service.program.said
    assert database.execute("select name from model_providers").fetchall() == [("late",)]


def test_a_request_that_never_ends_is_given_up_after_the_grace(start_service: StartService) -> None:
    service = start_service(MODEL_REGISTRY_SHUTDOWN_SECONDS="1")
    with closing(begun_request(service, b"never sent")):
        assert service.program.stop(signal.SIGHUP) == 0  # the terminal was closed


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({}, ["No database is configured", "POSTGREST_URL", "SUPABASE_URL", "model-registry up"]),
        ({"POSTGREST_URL": "http://127.0.0.1:9"}, ["POSTGREST_KEY", "POSTGREST_JWT_SECRET"]),
        ({"SUPABASE_URL": "http://127.0.0.1:9"}, ["SUPABASE_SERVICE_ROLE_KEY"]),
        ({"MODEL_REGISTRY_PORT": "many", "MODEL_REGISTRY_API_KEY": "short"}, ["PORT", "API_KEY", "16 characters"]),
    ],
)
def test_what_is_missing_is_said_in_one_message(environment: dict[str, str], words: list[str]) -> None:
    done = run("serve", environment=environment)
    assert done.returncode == 3
    assert done.stderr.startswith("error: ")
    assert [word for word in words if word not in done.stderr] == []
    assert "Traceback" not in done.stderr
    assert done.stderr.count("\n") <= 3


def test_a_taken_port_is_named(start_program: StartProgram, service_environment: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        program = start_program("serve", "--port", str(port), environment=service_environment)
        assert program.wait_for_end() == 3
    assert f"Port {port}" in program.said
    assert "--port" in program.said
    assert "Traceback" not in program.said


def test_where_reads_need_a_key_the_agent_beside_a_gateway_works_with_the_one_that_reads(
    start_service: StartService, tmp_path: Path
) -> None:
    key = "a read key of this test"
    service = start_service(MODEL_REGISTRY_AUTH_READS="true", MODEL_REGISTRY_READ_KEY=key)
    arguments = ("tensorzero", "sync", "--once", "--registry", service.url, "--out", str(tmp_path / "out"))

    refused = run(*arguments)
    done = run(*arguments, environment={"MODEL_REGISTRY_API_KEY": key})

    assert (refused.returncode != 0, "An API key is required" in refused.stderr) == (True, True), refused.stderr
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "current" / "tensorzero.toml").exists()
