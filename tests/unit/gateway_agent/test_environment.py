"""Before the agent switches, it looks whether the gateway has every variable that the bundle names."""

from __future__ import annotations

import hashlib
import json
import logging
from pathlib import Path

import httpx
import pytest

from model_registry.errors import RegistryUnreachable
from model_registry.gateway_agent.agent import Agent, AgentTimeouts
from model_registry.gateway_agent.bundle_directory import BundleDirectory
from model_registry.gateway_agent.bundle_source import BundleSource
from model_registry.gateway_agent.environment import GatewayEnvironment, variables_in
from model_registry.gateway_agent.gateway_process import LocalGateway


class Registry:
    """Serves one configuration with the variables it names, and keeps what is reported."""

    def __init__(self) -> None:
        self.body = b"# one\n"
        self.variables, self.missing = "", ""
        self.reports: list[dict[str, list[str]]] = []
        self.refuses = False

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            if self.refuses:
                return httpx.Response(403)
            self.reports.append(json.loads(request.content))
            return httpx.Response(200, json={})
        if request.url.path.endswith("/bundle"):
            return httpx.Response(404)
        etag = f'"{hashlib.blake2b(self.body, digest_size=12).hexdigest()}"'
        headers = {"ETag": etag, "X-Registry-Revision": "7"}
        named = {"X-Registry-Variables": self.variables, "X-Registry-Missing-Variables": self.missing}
        headers |= {name: value for name, value in named.items() if value}
        if etag in request.headers.get("if-none-match", ""):
            return httpx.Response(304, headers=headers)
        return httpx.Response(200, content=self.body, headers=headers)


class World:
    """An agent, and an environment file that people write to."""

    def __init__(self, directory: Path, *, report: bool = False) -> None:
        self.registry, self.out, self.file = Registry(), directory / "out", directory / "gateway.env"
        self.file.write_text("")
        self.agent = Agent(
            BundleSource("http://registry", transport=httpx.MockTransport(self.registry)),
            BundleDirectory(self.out),
            LocalGateway(),
            patience=AgentTimeouts(wait=1),
            environment=GatewayEnvironment((self.file,), report=report),
            sleep=lambda _: None,
        )

    @property
    def current(self) -> str | None:
        file = self.out / "current" / "tensorzero.toml"
        return file.read_text() if file.exists() else None


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
def reporting(tmp_path: Path) -> World:
    return World(tmp_path, report=True)


def test_a_bundle_that_names_a_missing_variable_is_not_switched_to(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.agent.step()
    world.registry.body, world.registry.variables = b"# two\n", "A_KEY,B_KEY"
    world.file.write_text("B_KEY=secret\n")
    world.agent.step()
    world.agent.step()
    assert world.current == "# one\n"
    (line,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert "not set for the gateway: A_KEY" in line.getMessage()
    assert "secret" not in caplog.text


def test_it_is_switched_to_as_soon_as_the_variable_is_there(world: World) -> None:
    world.agent.step()
    world.registry.body, world.registry.variables = b"# two\n", "A_KEY"
    world.agent.step()
    world.file.write_text("A_KEY=x\n")
    world.agent.step()
    assert world.current == "# two\n"


def test_what_the_registry_serves_no_longer_is_not_switched_to_later(world: World) -> None:
    world.agent.step()
    world.registry.body, world.registry.variables = b"# two\n", "A_KEY"
    world.agent.step()
    world.registry.body, world.registry.variables = b"# one\n", ""
    world.agent.step()
    world.file.write_text("A_KEY=x\n")
    world.agent.step()
    assert world.current == "# one\n"


def test_once_fails_with_the_names_when_there_is_nothing_else(world: World) -> None:
    world.registry.variables = "A_KEY"
    with pytest.raises(RegistryUnreachable, match="A_KEY"):
        world.agent.once()


def test_names_that_the_registry_asks_about_are_reported_and_no_others(reporting: World) -> None:
    reporting.registry.variables, reporting.registry.missing = "A_KEY", "B_KEY,C_KEY"
    reporting.file.write_text("A_KEY=1\nB_KEY=2\nUNRELATED=3\n")
    reporting.agent.step()
    reporting.agent.step()
    assert reporting.registry.reports == [{"names": ["A_KEY", "B_KEY"], "missing": ["C_KEY"]}]


def test_a_variable_that_appears_is_reported(reporting: World) -> None:
    reporting.registry.missing = "B_KEY"
    reporting.agent.step()
    reporting.file.write_text("B_KEY=2\n")
    reporting.agent.step()
    assert reporting.registry.reports == [{"names": [], "missing": ["B_KEY"]}, {"names": ["B_KEY"], "missing": []}]


def test_a_report_that_is_refused_stops_nothing(reporting: World) -> None:
    reporting.registry.missing, reporting.registry.refuses = "B_KEY", True
    reporting.agent.step()
    assert reporting.current == "# one\n"
    reporting.registry.refuses = False
    reporting.agent.step()
    assert len(reporting.registry.reports) == 1


def test_a_file_that_is_gone_changes_nothing(reporting: World) -> None:
    reporting.registry.missing = "B_KEY"
    reporting.file.write_text("B_KEY=2\n")
    reporting.agent.step()
    reporting.file.unlink()
    reporting.agent.step()
    assert reporting.registry.reports == [{"names": ["B_KEY"], "missing": []}]


def test_the_agents_own_variables_count_where_the_gateway_shares_them() -> None:
    assert GatewayEnvironment(own={"A": "x", "EMPTY": ""}).missing(["A", "EMPTY", "B"]) == ("B", "EMPTY")
    assert GatewayEnvironment().missing(["A"]) == ("A",)


def test_environment_files_are_read_as_programs_read_them() -> None:
    text = "# A comment=1\nPLAIN=x\nexport SHELL_LIKE='y z'\n SPACED = 1\nEMPTY=\nQUOTED=\"\"\nNAME ONLY\n=x\n1BAD=x\n"
    assert variables_in(text) == {"PLAIN", "SHELL_LIKE", "SPACED"}
