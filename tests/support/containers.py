"""The stack of the tests from the images of docker-compose.yml, where there is a Docker engine: `--stack=containers`.

What tests use of `EmbeddedStack` is here under the same names: the environment, and parts to kill and start again.
"""

from __future__ import annotations

import secrets
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import docker.errors
import httpx
import jwt
import psycopg
import pytest
import yaml
from testcontainers.core.container import DockerContainer
from testcontainers.core.docker_client import DockerClient
from testcontainers.core.network import Network

from model_registry.devstack.ports import choose_port
from model_registry.store.migrations import set_password

COMPOSE = Path(__file__).parents[2] / "docker-compose.yml"
SCHEMA = "model_registry"
NO_ENGINE = (
    "--stack=containers needs a Docker engine, and none answers here ({reason}). "
    "Start one, or leave the option out: the embedded stack needs nothing."
)
_READY_SECONDS = 120


class ContainerPart:
    """One server in a container, on a port of this machine that stays the same when it starts again."""

    def __init__(self, service: str, inside: int, taken: set[int]) -> None:
        image = yaml.safe_load(COMPOSE.read_text())["services"][service]["image"]
        self.port = choose_port(None, taken=taken)
        taken.add(self.port)
        self.container = DockerContainer(image).with_bind_ports(inside, self.port).with_network_aliases(service)
        self.ready: Callable[[], bool] = lambda: True
        self._running = False

    def start(self) -> None:
        """Start it, or start it again, and wait until it is ready."""
        if self._running:
            return
        if self.container._container is None:  # noqa: SLF001 (there is no other way to ask)
            self.container.start()
        else:
            self.container.get_wrapped_container().start()
        self._running = True
        deadline = time.monotonic() + _READY_SECONDS
        while not self.ready():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.container.image} was not ready: {self.container.get_logs()}")
            time.sleep(0.05)

    def kill(self) -> None:
        """Kill it like a crash."""
        wrapped = self.container.get_wrapped_container()
        wrapped.kill()
        wrapped.wait()
        self._running = False


class ContainerStack:
    """Postgres, PostgREST and NATS, started together and gone without a trace at the end."""

    def __init__(self, *, prepare: Callable[[str], object]) -> None:
        self._prepare = prepare
        self._exits = ExitStack()
        self._password, self._jwt_secret, self._nats_token = (secrets.token_hex(32) for _ in range(3))
        self._key = jwt.encode({"role": "service_role"}, self._jwt_secret, algorithm="HS256")

    def environment(self) -> dict[str, str]:
        """Settings with which a service finds the components."""
        return {
            "DATABASE_URL": f"postgresql://postgres:{self._password}@127.0.0.1:{self.postgres.port}/postgres",
            "POSTGREST_URL": f"http://127.0.0.1:{self.postgrest.port}",
            "POSTGREST_KEY": self._key,
            "NATS_URL": f"nats://{self._nats_token}@127.0.0.1:{self.nats.port}",
        }

    def __enter__(self) -> Self:
        _require_engine()
        try:
            self._start()
        except BaseException:
            self._exits.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._exits.close()

    def _start(self) -> None:
        taken: set[int] = set()
        network = self._exits.enter_context(Network())
        self.postgres = ContainerPart("postgres", 5432, taken)
        self.postgrest = ContainerPart("postgrest", 3000, taken)
        self.nats = ContainerPart("nats", 4222, taken)
        for part in (self.postgres, self.postgrest, self.nats):
            part.container.with_network(network)
            self._exits.callback(part.container.stop)
        url = self.environment()["DATABASE_URL"]

        self.postgres.container.with_envs(POSTGRES_PASSWORD=self._password)
        self.postgres.ready = lambda: _connects(url)
        self.postgres.start()
        self._prepare(url)
        set_password(url, "authenticator", self._password)

        self.postgrest.container.with_envs(
            PGRST_DB_URI=f"postgresql://authenticator:{self._password}@postgres:5432/postgres",
            PGRST_DB_SCHEMAS=SCHEMA,
            PGRST_DB_ANON_ROLE="anon",
            PGRST_JWT_SECRET=self._jwt_secret,
            PGRST_OPENAPI_MODE="disabled",
        )
        self.postgrest.ready = lambda: _answers(f"http://127.0.0.1:{self.postgrest.port}/v_active_models?limit=1")
        self.postgrest.start()

        self.nats.container.with_command(["--jetstream", "--auth", self._nats_token])
        self.nats.ready = lambda: _greets(self.nats.port)
        self.nats.start()


def _require_engine() -> None:
    """End the whole run with one message, rather than each test with a separate traceback."""
    try:
        client: Any = DockerClient().client
        client.ping()
    except docker.errors.DockerException as error:
        pytest.exit(NO_ENGINE.format(reason=str(error).partition("\n")[0]), returncode=pytest.ExitCode.USAGE_ERROR)


def _connects(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2, trust_env=False).is_success
    except httpx.HTTPError:
        return False


def _greets(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
            return connection.recv(4) == b"INFO"
    except OSError:
        return False
