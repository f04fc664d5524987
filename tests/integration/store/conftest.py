"""What tests of the database share: the way of a service to it, and files of SQL that may be changed."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from model_registry.settings import Settings
from model_registry.store import migrations
from model_registry.store.client import Database, connect


@pytest.fixture
async def connection(environment: dict[str, Any]) -> AsyncIterator[Database]:
    """PostgREST, as a service reaches it."""
    database = await connect(Settings(**environment))
    yield database
    await database.close()


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """schema/ and migrations/, to be changed."""
    for name in ("migrations", "schema"):
        shutil.copytree(migrations.data_directory(name), tmp_path / name)
    monkeypatch.setattr(migrations, "data_directory", lambda name: tmp_path / name)
    return tmp_path
