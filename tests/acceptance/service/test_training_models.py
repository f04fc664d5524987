"""Three training services and a registry, all processes: the entries come out as they went in, also of a dead one."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from support.processes import Program, StartProgram, StartService, wait_until
from support.training_entries import DOCUMENTS, ENTRIES

READY = r"ready: (http://127\.0\.0\.1:\d+)"


@pytest.fixture
def services(start_program: StartProgram) -> dict[str, Program]:
    arguments = ("training-service", "--port", "0")
    return {name: start_program(*arguments, environment={"FRAMEWORK": name}) for name in DOCUMENTS}


@pytest.fixture
def hanging() -> Iterator[str]:
    """An address that takes connections and never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def entries(response: httpx.Response) -> dict[tuple[str, str], Any]:
    return {(entry["framework"], entry["model_name"]): entry for entry in response.json()["models"]}


def test_every_entry_comes_out_as_it_went_in_also_when_its_service_is_gone(
    services: dict[str, Program], start_service: StartService, start_program: StartProgram, hanging: str
) -> None:
    urls = {name: program.wait_for(READY)[1] for name, program in services.items()}
    variables = {f"{name.upper()}_SERVICE_URL": url for name, url in urls.items()}
    registry = start_service(**variables, TRAINING_SERVICE_URL=hanging, SERVICE_DISCOVERY_INTERVAL="0.5").client

    wait_until(lambda: registry.get("/models/list").json()["model_count"] == len(ENTRIES))
    answer = registry.get("/models/list")
    assert entries(answer) == ENTRIES
    for (framework, name), entry in ENTRIES.items():
        assert registry.get(f"/api/v1/models/{framework}/{name}").json() == entry

    again = start_program(
        "training-service", "--port", "0", "--registry", str(registry.base_url), "--framework", "timm"
    )
    assert entries(httpx.get(f"{again.wait_for(READY)[1]}/models/list", trust_env=False)) == {
        key: entry for key, entry in ENTRIES.items() if key[0] == "timm"
    }

    services["timm"].end()
    wait_until(lambda: '"timm_service";reason=' in registry.get("/models/list").headers.get("X-Registry-Partial", ""))
    answer = registry.get("/models/list")
    assert entries(answer) == ENTRIES
    partial = answer.headers["X-Registry-Partial"]
    assert ";since=" in partial
    assert "ultralytics" not in partial
    assert '"training_service"' in partial
    assert len(registry.get("/api/v1/models/list", params={"framework": "timm"}).json()) == 3
