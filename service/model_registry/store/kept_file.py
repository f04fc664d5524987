"""A file that the service keeps for its next start: replaced as a whole; a failure to do so does not stop the service.

The content is up to its users: `snapshot_file.py`, `gateways/published.py`.
"""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

import structlog

from model_registry.private_files import make_private_directory, replace_private

log = structlog.get_logger(__name__)

_DRAFT_SECONDS = 3600
"""A draft this old belongs to a process that was killed while it wrote."""


class KeptFile:
    """One file of one service; replicas may share its directory."""

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
