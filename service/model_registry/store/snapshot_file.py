"""The newest snapshot on disk, from which the service starts when the database is away."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import orjson
import structlog

from model_registry.snapshot.snapshot import Snapshot
from model_registry.store.json_bytes import json_bytes
from model_registry.store.kept_file import KeptFile

log = structlog.get_logger(__name__)

_FORMAT = 1


@dataclass(frozen=True, slots=True)
class SavedSnapshot:
    """A snapshot, and when the database last confirmed it."""

    snapshot: Snapshot
    current_at: float
    """Epoch seconds."""


class SnapshotFile:
    """One file, replaced atomically, readable by its owner only: it holds hashes of API keys."""

    def __init__(self, directory: Path, source: str) -> None:
        self._file = KeptFile(directory / "snapshot.json", "the snapshot")
        self._source = source

    def load(self) -> SavedSnapshot | None:
        """Return the last saved snapshot; None without a usable one of this database address."""
        try:
            content = orjson.loads(self._file.read())
            if content["format"] != _FORMAT or content["source"] != self._source:
                return None
            return SavedSnapshot(Snapshot.from_document(content), float(content["current_at"]))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            log.warning(
                "the saved snapshot cannot be read; starting without it", path=str(self._file.path), error=str(error)
            )
            return None

    def save(self, saved: SavedSnapshot) -> bool:
        """Replace the file, and answer whether that worked. After a crash or an error the old one is there."""
        document = {"format": _FORMAT, "source": self._source, "current_at": saved.current_at}
        return self._file.replace(json_bytes(document | saved.snapshot.document()))
