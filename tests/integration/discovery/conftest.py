"""A server that is a source."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from support.stub_sources import StubSource


@pytest.fixture
async def server() -> AsyncIterator[StubSource]:
    """A server that lists two models."""
    async with StubSource() as stub:
        stub.lists("small", "large")
        yield stub
