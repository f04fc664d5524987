"""The real stack, started once for the whole run, and services on it. Unit tests use none of it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import nats
import nats.js.errors
import psycopg
import pytest
from hypothesis import is_hypothesis_test

from model_registry.devstack.embedded import EmbeddedStack
from model_registry.store import migrations
from support import profiles
from support.database import empty
from support.replica import Replica, running_replica

SCHEMA = "model_registry"

StartReplica = Callable[..., Awaitable[Replica]]

profiles.register()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--stack",
        choices=["embedded", "containers"],
        default="embedded",
        help="where Postgres, PostgREST and NATS come from: the embedded stack, or the images of docker-compose.yml",
    )


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark every test that Hypothesis runs as a property."""
    if is_hypothesis_test(getattr(item, "obj", None)):
        item.add_marker("property")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the long files: the process that comes to one of them last goes on alone, while the other is idle."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


@pytest.fixture(scope="session", autouse=True)
def _no_settings_from_outside() -> Iterator[None]:
    """Settings of the developer's shell must not affect a test."""
    prefixes = ("MODEL_REGISTRY_", "POSTGREST_", "SUPABASE_", "NATS_", "DATABASE_URL", "DOCKED_MODE", "PG")
    with pytest.MonkeyPatch.context() as patch:
        for name in [n for n in os.environ if n.startswith(prefixes)]:
            patch.delenv(name)
        yield


@pytest.fixture(scope="session")
def stack(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Postgres, PostgREST and NATS, migrated. Components can be killed and restarted: `stack.postgrest.kill()`."""

    def prepare(database_url: str) -> None:
        migrations.migrate(database_url, SCHEMA)

    if request.config.getoption("--stack") == "containers":
        from support.containers import ContainerStack  # noqa: PLC0415 (needs Docker)

        with ContainerStack(prepare=prepare) as containers:
            yield containers
    else:
        # Not below pytest's own directory: another run closes that to all other users when it starts, also to that as
        # which Postgres runs under root, and then Postgres panics at its next checkpoint.
        with (
            TemporaryDirectory(prefix="registry-") as directory,
            EmbeddedStack(Path(directory) / "data", prepare=prepare, durable=False) as embedded,
        ):
            yield embedded


@pytest.fixture
def database_url(stack: Any) -> str:
    """A migrated, empty database."""
    url: str = stack.environment()["DATABASE_URL"]
    empty(url, SCHEMA)
    return url


@pytest.fixture
def database(database_url: str) -> Iterator[psycopg.Connection]:
    """A connection to the empty database, as an administrator with psql has it."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(f"set search_path to {SCHEMA}")
        yield connection


@pytest.fixture
def environment(stack: Any, database_url: str, tmp_path: Path) -> dict[str, Any]:  # noqa: ARG001 (emptied first)
    """Settings of a service on the empty database, without NATS: tests with NATS add `nats_url`."""
    found = {key: value for key, value in stack.environment().items() if key.startswith("POSTGREST")}
    own = {"MODEL_REGISTRY_CACHE_DIR": tmp_path / "cache", "MODEL_REGISTRY_POLL_SECONDS": 0.2}
    # Only the rules validate, in the process: tests of the gateway's own check enable it.
    return {**found, **own, "MODEL_REGISTRY_CHECK_WITH_GATEWAY": False}


@pytest.fixture
async def nats_url(stack: Any) -> str:
    """The NATS server, without streams of earlier tests."""
    url: str = stack.environment()["NATS_URL"]
    client = await nats.connect(url)
    js = client.jetstream()
    for stream in await js.streams_info():
        await js.delete_stream(str(stream.config.name))
    await client.close()
    return url


@pytest.fixture
async def start_replica(environment: dict[str, Any], tmp_path: Path) -> AsyncIterator[StartReplica]:
    """A function that starts services, each with its own variables. All are stopped at the end of the test."""
    async with AsyncExitStack() as exits:
        started = 0

        async def start(**overrides: Any) -> Replica:
            nonlocal started
            started += 1
            own = {"MODEL_REGISTRY_CACHE_DIR": tmp_path / f"cache-{started}"}
            return await exits.enter_async_context(running_replica({**environment, **own, **overrides}))

        yield start


@pytest.fixture
async def replica(start_replica: StartReplica) -> Replica:
    """One service on an empty database."""
    return await start_replica()
