"""Unpack a bundle into a directory. What it contains: `gateways/tensorzero/rendering/bundle.py`."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
import zlib
from collections.abc import Mapping
from pathlib import Path

from model_registry.errors import RegistryUnreachable
from model_registry.gateways.tensorzero.reading.project_paths import CONFIG_FILE, path_problem


def unpacked(packed: bytes) -> dict[str, bytes]:
    """Unpack the files of a bundle, by path. Errors: RegistryUnreachable, for anything that is not a bundle."""
    files = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(gzip.decompress(packed)), mode="r:") as tar:
            for entry in tar:
                content = tar.extractfile(entry) if entry.isreg() else None
                if content is None or (entry.name != CONFIG_FILE and path_problem(entry.name)):
                    raise RegistryUnreachable(f"The bundle is refused: it contains {entry.name!r}")
                files[entry.name] = content.read()
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise RegistryUnreachable(f"The response is not a bundle of a registry ({error})") from error
    if CONFIG_FILE not in files:
        raise RegistryUnreachable(f"The response is not a bundle of a registry: it has no {CONFIG_FILE}")
    return files


def write_bundle(files: Mapping[str, bytes], directory: Path) -> None:
    """Write the files, the configuration last, so that everything it refers to exists first. Errors: OSError."""
    for path in sorted(files, key=lambda path: (path == CONFIG_FILE, path)):
        place = directory / path
        place.parent.mkdir(parents=True, exist_ok=True)
        draft = place.with_name(f".{place.name}.{os.getpid()}.tmp")
        draft.write_bytes(files[path])
        draft.replace(place)
