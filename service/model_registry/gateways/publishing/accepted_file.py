"""The last accepted configuration on disk, beside the snapshot: served after a restart, until the first validation."""

from __future__ import annotations

from pathlib import Path

import orjson
import structlog

from model_registry.gateways.publishing.published import Served
from model_registry.store.json_bytes import json_bytes
from model_registry.store.snapshot_file import KeptFile

log = structlog.get_logger(__name__)

_FORMAT = 1


class AcceptedFile:
    """One file, replaced atomically, readable by its owner only."""

    def __init__(self, directory: Path) -> None:
        self._file = KeptFile(directory / "accepted.json", "the accepted configuration")

    def load(self, registry_id: str) -> Served | None:
        """Return the last accepted configuration of this registry; None without a file, or with a damaged one."""
        try:
            content = orjson.loads(self._file.read())
            if content["format"] != _FORMAT or content["registry_id"] != registry_id:
                return None
            files = {path: text.encode() for path, text in content["files"].items()}
            return Served(int(content["revision"]), files, str(content["judge"]), float(content["at"]))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            log.warning("the accepted configuration cannot be read", path=str(self._file.path), error=str(error))
            return None

    def save(self, served: Served, registry_id: str) -> None:
        """Replace the file. After a crash or an error (a full disk, which is logged) the old one is there."""
        document = {
            "format": _FORMAT,
            "registry_id": registry_id,
            "revision": served.revision,
            "judge": served.validated_by,
            "at": served.at,
            "files": {path: content.decode() for path, content in served.files.items()},
        }
        self._file.replace(json_bytes(document))
