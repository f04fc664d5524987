"""Fixtures for tests with GPU nodes, and for tests with new databases."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from model_registry.store import migrations
from support.database import new_database
from support.fleet import Fleet, consuming, fleet_on
from support.nats_server import NatsServer
from support.replica import Replica


@pytest.fixture
async def fleet(nats_url: str) -> AsyncIterator[Fleet]:
    """GPU nodes on the stack's NATS."""
    async with fleet_on(nats_url) as nodes:
        yield nodes


@pytest.fixture
async def consumer(start_replica: Any, nats_url: str) -> Replica:
    """One service on an empty database that consumes what the fleet says."""
    replica: Replica = await start_replica(NATS_URL=nats_url)
    await consuming(replica)
    return replica


@pytest.fixture
def nats_server(tmp_path: Path) -> Iterator[NatsServer]:
    """A NATS server of the test's own, running; it may be killed and started again."""
    server = NatsServer(tmp_path / "nats")
    server.start()
    yield server
    server.kill()


@pytest.fixture
def empty_database(stack: Any) -> Iterator[str]:
    """The address of a new database in which nothing has ever been."""
    with new_database(stack.environment()["DATABASE_URL"]) as url:
        yield url


@pytest.fixture(scope="session")
def migrated_template(stack: Any) -> Iterator[str]:
    """A database to be copied: migrated as everything is now, and empty. To copy takes a tenth of the time."""
    with new_database(stack.environment()["DATABASE_URL"]) as url:
        migrations.migrate(url, "model_registry")
        yield url


@pytest.fixture
def migrated(migrated_template: str, stack: Any) -> Iterator[str]:
    """The address of a new database to which migrations/ and schema/ were applied as they are."""
    with new_database(stack.environment()["DATABASE_URL"], like=migrated_template) as url:
        yield url
