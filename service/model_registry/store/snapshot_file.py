"""The newest snapshot on disk, from which the service starts when the database is away."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import orjson
import structlog

from model_registry.private_files import make_private_directory, replace_private
from model_registry.snapshot.snapshot import Snapshot
from model_registry.store.json_bytes import json_bytes

log = structlog.get_logger(__name__)

_FORMAT = 1
_DRAFT_SECONDS = 3600
"""A draft this old belongs to a process that was killed while it wrote."""


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


class KeptFile:
    """A file that the service keeps for its next start. A failure to replace it does not stop the service.

    Replicas may share its directory. Others than the snapshot: `gateways/publishing/published.py`.
    """

    def __init__(self, path: Path, what: str) -> None:
        """Describe it; `what` names the content in the log."""
        self.path = path
        self._fields = {"what": what, "path": str(path)}
        self._failing = False

    def read(self) -> bytes:
        """Return the content. Errors: OSError."""
        with suppress(OSError):
            for draft in self.path.parent.glob(f".{self.path.name}.*.tmp"):
                if draft.stat().st_mtime < time.time() - _DRAFT_SECONDS:
                    draft.unlink()
        return self.path.read_bytes()

    def delete(self) -> None:
        """Delete the file, if it is there."""
        with suppress(OSError):
            self.path.unlink()

    def replace(self, content: bytes) -> bool:
        """Replace the file and answer whether that worked; else the old one is there, whole.

        A disk that is full, or cannot be written, is logged once, and once more when that is over.
        """
        try:
            make_private_directory(self.path.parent)
            replace_private(self.path, content, sync=True)
        except OSError as error:
            if not self._failing:
                log.warning("could not be saved; the last file is kept", **self._fields, error=str(error))
            self._failing = True
            return False
        if self._failing:
            log.info("saved again", **self._fields)
        self._failing = False
        return True
