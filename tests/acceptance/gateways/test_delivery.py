"""From a write to a running gateway: accepted configurations reach it, others do not."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from support.gateway_client import GatewayProgram, Programs, free_port
from support.processes import COMMAND, Service, StartService, wait_until
from support.stub_servers import StubModelServer
from support.waiting import LONGEST

STATUS = "/api/tensorzero/status"


@pytest.fixture
def models() -> Iterator[StubModelServer]:
    with StubModelServer("stub") as server:
        yield server


@pytest.fixture
def judged(start_service: StartService, models: StubModelServer, stack: Any) -> Service:
    """A service that validates with the real gateway, with two models and a mapping to the first, already validated."""
    service = start_service(MODEL_REGISTRY_CHECK_WITH_GATEWAY="true", NATS_URL=stack.environment()["NATS_URL"])
    add_mapping(service, models.api_base)
    wait_until(lambda: not service.client.get(STATUS).json()["pending"])
    return service


def add_mapping(service: Service, api_base: str) -> None:
    service.post("/api/providers", {"name": "stub", "type": "openai_compatible", "api_base": api_base})
    for name in ("one", "two"):
        service.post("/api/models", {"name": name, "model_id": name, "provider": "stub"})
    names = {"service_name": "agents", "function_name": "chat", "variant_name": "main"}
    service.post("/api/mappings", {**names, "model": "one"})


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=LONGEST).close()
    except OSError:
        return False
    return True


def _refuse_by_sql(database: psycopg.Connection) -> None:
    """A fault that the rules and the guard miss: an incomplete template. In one step: the file alone is valid."""
    with database.transaction():
        database.execute("insert into config_files (path, content) values ('broken.minijinja', '{% if')")
        database.execute("""update service_model_mappings set tensorzero = '{"system_template": "broken.minijinja"}'""")


def test_a_change_reaches_the_gateway_and_a_refused_one_does_not(
    judged: Service, models: StubModelServer, programs: Programs, tmp_path: Path, database: psycopg.Connection
) -> None:
    gateway = GatewayProgram(programs, tmp_path, free_port())
    out = tmp_path / "out"
    sync = (COMMAND, "tensorzero", "sync", "--registry", judged.url, "--out", str(out), "--settle", "0.5")
    agent = programs("sync", *sync, *gateway.options)
    # A second one, which without a notification would notice a change only after the test.
    nats = ("--nats", programs.nats_url, "--wait", "60")
    listener = programs("nats", *sync[:-3], str(tmp_path / "heard"), *nats)
    gateway.run()
    listener.wait_for("subscribed to changes")
    listener.wait_for("is in use")
    agent.wait_for("is in use")
    assert gateway.answer() == models.answer_to("one")

    judged.patch("/api/mappings/agents/chat/main", {"model": "two"})
    wait_until(lambda: gateway.answer() == models.answer_to("two"))
    wait_until(lambda: agent.said.count("is in use") == 2)
    good = (out / "current").readlink()
    wait_until(lambda: (tmp_path / "heard" / "current").readlink() == good)

    _refuse_by_sql(database)
    status = wait_until(lambda: (s := judged.client.get(STATUS).json())["refused"] and s)

    assert "the gateway says" in status["refused"]["reasons"][0]["message"]
    assert status["served"]["revision"] < status["refused"]["revision"] == status["newest_revision"]
    response = judged.client.get("/api/tensorzero/config")
    assert response.headers["x-registry-refused-revision"] == str(status["refused"]["revision"])
    assert response.headers["x-registry-revision"] == str(status["served"]["revision"])
    assert "broken" not in response.text
    assert "broken" in judged.client.get("/api/tensorzero/config", params={"revision": "latest"}).text
    assert (out / "current").readlink() == good
    assert gateway.answer() == models.answer_to("two")
    assert "model_registry_configuration_refused 1.0" in judged.client.get("/metrics").text
    assert "configuration refused" in judged.program.said

    database.execute("update service_model_mappings set tensorzero = '{}'")
    wait_until(lambda: judged.client.get(STATUS).json()["refused"] is None)
    # The repaired bundle has one file more.
    wait_until(lambda: agent.said.count("is in use") == 3)
    judged.patch("/api/mappings/agents/chat/main", {"model": "one"})
    wait_until(lambda: gateway.answer() == models.answer_to("one"))


def test_a_gateway_that_does_not_come_up_gets_the_previous_bundle_back(
    service: Service, programs: Programs, tmp_path: Path
) -> None:
    add_mapping(service, "http://nowhere.example/v1")
    port, out = free_port(), tmp_path / "out"
    # Healthy as long as the configuration does not name the second model.
    program = (
        "import http.server, pathlib, sys\n"
        "class H(http.server.BaseHTTPRequestHandler):\n"
        "    def do_GET(self):\n"
        "        self.send_response(503 if 'model = \"two\"' in pathlib.Path(sys.argv[2]).read_text() else 200)\n"
        "        self.end_headers()\n"
        "http.server.HTTPServer(('127.0.0.1', int(sys.argv[1])), H).serve_forever()\n"
    )
    programs("health", sys.executable, "-c", program, str(port), str(out / "current" / "tensorzero.toml"))
    wait_until(lambda: _listens(port))  # the first rollout must not end before that
    sync = (COMMAND, "tensorzero", "sync", "--registry", service.url, "--out", str(out), "--settle", "0.2")
    health = ("--health", f"http://127.0.0.1:{port}/", "--health-timeout", "3")
    told = ("--exec", f"touch {tmp_path / 'told'}")
    agent = programs("sync", *sync, *health, *told)
    agent.wait_for("is in use")
    good = (out / "current").readlink()
    (tmp_path / "told").unlink()

    service.patch("/api/mappings/agents/chat/main", {"model": "two"})
    agent.wait_for(r"failed, rolling back to")

    wait_until(lambda: (out / "current").readlink() == good)
    wait_until((tmp_path / "told").exists)
    service.patch("/api/mappings/agents/chat/main", {"model": "one", "tensorzero": {"temperature": 0.5}})
    wait_until(lambda: agent.said.count("is in use") == 2)
    assert agent.said.count("failed") == 1


def test_a_service_that_is_told_to_stop_does_not_wait_for_those_who_wait(start_service: StartService) -> None:
    service = start_service()
    etag = service.client.get("/api/tensorzero/config").headers["etag"]
    port = int(service.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=30) as waiting:
        waiting.sendall(b"HEAD /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert waiting.recv(1000)  # the connection has been accepted
        head = f"GET /api/tensorzero/config?wait=60 HTTP/1.1\r\nHost: x\r\nIf-None-Match: {etag}\r\n\r\n"
        waiting.sendall(head.encode())
        service.client.get("/healthz")  # what came before it has been read
        # Before the requests that wait reach their time limit.
        assert service.program.stop(seconds=50) == 0
        assert waiting.recv(100).startswith(b"HTTP/1.1 304")


def test_what_needs_a_database_is_served_and_the_status_says_what_only_the_rules_checked(judged: Service) -> None:
    """Experiments that learn, and Postgres: a gateway without one refuses them, and they are right nevertheless."""
    variants = "".join(
        f'[functions.f.variants.{name}]\ntype = "chat_completion"\nmodel = "openai::{name}"\n' for name in "ab"
    )
    metric = '[metrics.m]\ntype = "boolean"\nlevel = "inference"\noptimize = "max"\n'
    learns = '[functions.f.experimentation]\ntype = "adaptive"\nmetric = "m"\ncandidate_variants = ["a", "b"]\n'
    text = f'[postgres]\nenabled = true\n[functions.f]\ntype = "chat"\n{variants}{learns}{metric}'
    imported = judged.client.post("/api/tensorzero/import", json={"files": {"tensorzero.toml": text}})
    assert imported.status_code == 200, imported.text

    def served_by_gateway() -> Any:
        status = judged.client.get(STATUS).json()
        is_new = (status["served"] or {}).get("revision") == imported.json()["revision"]
        return not status["pending"] and (status["refused"] or is_new) and status

    status = wait_until(served_by_gateway)
    assert status["refused"] is None
    assert status["served"]["judge"].startswith("gateway ")
    assert status["served"]["by_rules"] == ["postgres", "functions.f.experimentation"]
    assert 'type = "adaptive"' in judged.config()
