"""The check over HTTP by a real service: projects that once read its environment, and callers that disconnect."""

from __future__ import annotations

import json
import socket
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import psutil

from support.processes import Service, StartService, wait_until

CHECK = "/api/tensorzero/check"


def test_the_services_environment_is_not_read_through_the_check(start_service: StartService) -> None:
    service = start_service(REGISTRY_CANARY="sk-canary-of-the-service", MODEL_REGISTRY_CHECK_WITH_GATEWAY="true")
    environ = f"/proc/{service.program.pid}/environ"
    for files, configuration in (({environ: ""}, [environ]), ({"t.toml": ""}, [environ]), ({}, ["/proc/*/environ"])):
        answer = service.client.post(CHECK, json={"files": files, "configuration": configuration})
        assert "canary" not in answer.text
        assert not files or not answer.json()["accepted"]


def test_a_caller_who_hangs_up_leaves_no_process(start_service: StartService) -> None:
    service = start_service(MODEL_REGISTRY_CHECK_WITH_GATEWAY="true")
    model = '[models.m{0}]\nrouting = ["p"]\n[models.m{0}.providers.p]\ntype = "openai"\nmodel_name = "x"\n'
    body = json.dumps({"files": {"t.toml": "".join(map(model.format, range(20_000)))}}).encode()
    address = urlsplit(service.url)
    with socket.create_connection((str(address.hostname), int(address.port or 0))) as caller:
        key = service.client.headers["authorization"]
        head = f"POST {CHECK} HTTP/1.1\r\nHost: x\r\nAuthorization: {key}\r\nContent-Type: application/json\r\n"
        caller.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        wait_until(lambda: _checking(service))
    wait_until(lambda: not _checking(service))
    assert service.client.get("/healthz").status_code == 200


def _checking(service: Service) -> list[Any]:
    """The processes of callers' checks, which have a lower priority."""
    found = []
    for child in psutil.Process(service.program.pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            found += [child] if child.nice() == 10 else []
    return found
