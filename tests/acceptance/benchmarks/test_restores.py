"""Every replica equals the database after a backup was restored: the short form of `make restores`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import restores
from backups import Dumps
from model_registry.settings import Settings

SHORT = "--restores 20"
SCHEMA = "model_registry"


async def test_replicas_end_as_the_database_after_restores_at_random_moments(
    database_url: str, environment: dict[str, Any], tmp_path: Path, capfd: Any
) -> None:
    dumps = Dumps(database_url, SCHEMA)
    try:
        wrong = await restores.wrong_after_restores(
            restores.options_from(SHORT.split()), Settings(**environment), dumps, tmp_path
        )
    finally:
        dumps.forget_all()
        dumps.close()

    assert wrong == []
    told = capfd.readouterr().out
    assert int(told.rpartition("replicas; ")[2].split()[0]) > 0, told
