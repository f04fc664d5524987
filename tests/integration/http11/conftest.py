"""Both loops that the service runs on, and the two ends of a connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest_asyncio
import uvloop

from model_registry.http11.connections import Connections
from support.scripted_server import ScriptedServer, scripted_server


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run each test of this directory on both."""
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest_asyncio.fixture(loop_scope="module")
async def server() -> AsyncIterator[ScriptedServer]:
    async with scripted_server() as made:
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def connections() -> AsyncIterator[Connections]:
    made = Connections()
    yield made
    await made.aclose()
