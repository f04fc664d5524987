"""The newest snapshot on disk: what the service starts from when the database is away."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

import orjson
import structlog

from model_registry.catalog.snapshot import Snapshot
from model_registry.store.json_bytes import json_bytes

log = structlog.get_logger(__name__)

_FORMAT = 1


@dataclass(frozen=True, slots=True)
class SavedSnapshot:
    """A snapshot and when the database last said it was current."""

    snapshot: Snapshot
    current_at: float
    """Epoch seconds."""


class SnapshotFile:
    """One file, replaced atomically, readable by its owner only: it holds hashes of API keys."""

    def __init__(self, directory: Path, source: str) -> None:
        self._path = directory / "snapshot.json"
        self._source = source

    def load(self) -> SavedSnapshot | None:
        """What was saved last, or None: no file, not ours, damaged, or of another database address."""
        try:
            content = orjson.loads(self._path.read_bytes())
            if content["format"] != _FORMAT or content["source"] != self._source:
                return None
            return SavedSnapshot(Snapshot.from_document(content), float(content["current_at"]))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            log.warning(
                "the saved snapshot cannot be read; starting without it", path=str(self._path), error=str(error)
            )
            return None

    def save(self, saved: SavedSnapshot) -> None:
        """Replace the file. A crash leaves the old one. Errors (a full disk) are logged: the service can go on."""
        document = {"format": _FORMAT, "source": self._source, "current_at": saved.current_at}
        # A name of its own per process: replicas may share the directory.
        draft = self._path.with_name(f".snapshot.{os.getpid()}.tmp")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with open(draft, "wb", opener=_private) as file:
                file.write(json_bytes(document | saved.snapshot.document()))
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self._path)
        except OSError as error:
            with contextlib.suppress(OSError):
                draft.unlink()
            log.warning("the snapshot could not be saved", path=str(self._path), error=str(error))


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, mode=0o600)
