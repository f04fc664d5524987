"""A registry that dispatches, and model services as processes of their own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from support.dispatch import Dispatching, dispatching
from support.model_services import StubModelService

StartStub = Callable[..., StubModelService]


@pytest.fixture
async def registry(start_replica: Any) -> AsyncIterator[Dispatching]:
    """A replica on an empty database that listens."""
    async with dispatching(await start_replica()) as running:
        yield running


@pytest.fixture
def start_stub() -> Iterator[StartStub]:
    """A function that starts a stub service with these faults. All are killed at the end of the test."""
    with ExitStack() as stubs:
        yield lambda **faults: stubs.enter_context(StubModelService(**faults))
