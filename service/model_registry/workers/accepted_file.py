"""The last accepted configuration on disk, beside the snapshot: what goes out after a restart, before any verdict."""

from __future__ import annotations

import os
from pathlib import Path

import orjson
import structlog

from model_registry.store.json_bytes import json_bytes
from model_registry.tensorzero.delivered import Served

log = structlog.get_logger(__name__)

_FORMAT = 1


class AcceptedFile:
    """One file, replaced atomically, readable by its owner only."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / "accepted.json"

    def load(self, registry_id: str) -> Served | None:
        """What was accepted last for this registry; None when there is no file, or a damaged one."""
        try:
            content = orjson.loads(self._path.read_bytes())
            if content["format"] != _FORMAT or content["registry_id"] != registry_id:
                return None
            files = {path: text.encode() for path, text in content["files"].items()}
            return Served(int(content["revision"]), files, str(content["judge"]), float(content["at"]))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            log.warning("the accepted configuration cannot be read", path=str(self._path), error=str(error))
            return None

    def save(self, served: Served, registry_id: str) -> None:
        """Replace the file. A crash leaves the old one. Errors (a full disk) are logged: the service can go on."""
        document = {
            "format": _FORMAT,
            "registry_id": registry_id,
            "revision": served.revision,
            "judge": served.judge,
            "at": served.at,
            "files": {path: content.decode() for path, content in served.files.items()},
        }
        draft = self._path.with_name(f".accepted.{os.getpid()}.tmp")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with open(draft, "wb", opener=_private) as file:
                file.write(json_bytes(document))
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self._path)
        except OSError as error:
            draft.unlink(missing_ok=True)
            log.warning("the accepted configuration could not be saved", path=str(self._path), error=str(error))


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, mode=0o600)
