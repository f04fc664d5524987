"""The snapshot that a service starts from: the database's, or the one on disk while the database is away."""

from __future__ import annotations

import structlog

from model_registry.errors import RegistryError
from model_registry.store.registry import Registry
from model_registry.store.snapshot_file import SnapshotFile

log = structlog.get_logger(__name__)

_START_SECONDS = 5.0
"""How long a start waits for the database where there is a snapshot on disk to start from."""


async def load_first_snapshot(registry: Registry, file: SnapshotFile) -> None:
    """Load the newest snapshot there is. With neither a database nor a file, nothing is loaded."""
    saved = file.load()
    if saved is not None:
        registry.restore(saved)
    try:
        await registry.refresh_within(_START_SECONDS)
    except RegistryError as error:
        start = "the last snapshot" if registry.loaded else "nothing: no snapshot was saved here"
        log.warning("the database does not answer at start", starting_from=start, error=error.message)
