"""The service as a process of its own, on the real stack."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from support.gateway_client import Programs
from support.processes import COMMAND, Program, Service, StartProgram, StartService, client_of

KEY = "an admin key for acceptance tests"


@pytest.fixture
def start_program(tmp_path: Path) -> Iterator[StartProgram]:
    """Start commands. Those still running at the end of the test are stopped."""
    with ExitStack() as exits:
        yield lambda *arguments, environment=None: _started(exits, tmp_path, arguments, environment)


@pytest.fixture
def start_service(service_environment: dict[str, str], tmp_path: Path) -> Iterator[StartService]:
    """Start separate services for this test on the empty database, to be stopped and killed."""
    with ExitStack() as exits:
        yield lambda **variables: _serving(exits, tmp_path, service_environment | variables)


@pytest.fixture
def service_environment(stack: Any, database_url: str, tmp_path: Path) -> dict[str, str]:  # noqa: ARG001 (emptied first)
    """Settings with which `serve` runs on the empty database, without NATS."""
    return _environment(stack, tmp_path)


@pytest.fixture(scope="module")
def _shared_service(stack: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    directory = tmp_path_factory.mktemp("service")
    with ExitStack() as exits:
        yield _serving(exits, directory, _environment(stack, directory))


@pytest.fixture
def service(_shared_service: Service, database_url: str) -> Service:  # noqa: ARG001 (emptied first)
    """A service on an empty database. One process for all tests of a module, so stop another one."""
    # It polls at once, and finds another registry at the address.
    found = _shared_service.client.get("/api/providers", headers={"Cache-Control": "no-cache"}).json()
    assert found == {"items": [], "count": 0}
    return _shared_service


def _environment(stack: Any, directory: Path) -> dict[str, str]:
    found = {key: value for key, value in stack.environment().items() if key.startswith("POSTGREST")}
    return {
        **found,
        "MODEL_REGISTRY_API_KEY": KEY,
        "MODEL_REGISTRY_CACHE_DIR": str(directory / "cache"),
        "MODEL_REGISTRY_POLL_SECONDS": "0.2",
        "MODEL_REGISTRY_CHECK_WITH_GATEWAY": "false",
    }


def _serving(exits: ExitStack, directory: Path, environment: Mapping[str, str]) -> Service:
    program = _started(exits, directory, ("serve", "--port", "0"), environment)
    url = program.wait_for(r'"url": "(http://[^"]+)"')[1]
    return Service(program, url, exits.enter_context(client_of(url, KEY)))


def _started(
    exits: ExitStack, directory: Path, arguments: tuple[str, ...], environment: Mapping[str, str] | None
) -> Program:
    number = len(list(directory.glob("program-*.log")))
    program = Program([COMMAND, *arguments], directory / f"program-{number}.log", environment)
    exits.callback(program.end)
    return program


@pytest.fixture
def programs(tmp_path: Path, stack: Any) -> Iterator[Programs]:
    started = Programs(tmp_path, stack.environment()["NATS_URL"])
    yield started
    started.end()
