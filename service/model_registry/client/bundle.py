"""A bundle: the configuration that a registry serves, with its files, in one archive. Unpacks it, and writes the files.

What it contains: `gateways/bundle.py`.
"""

from __future__ import annotations

import io
import tarfile
import zlib
from collections.abc import Mapping
from pathlib import Path

from model_registry.errors import RegistryUnreachable
from model_registry.file_paths import MAIN_FILES, path_problem
from model_registry.private_files import replace_file

MOST_BYTES = 256 * 2**20
"""Unpacked: eight times the largest project that a registry takes. A small archive may claim to hold far more."""


def unpack_bundle(packed: bytes, most_bytes: int = MOST_BYTES) -> dict[str, bytes]:
    """Return the files by path, each below the bundle's directory. Errors: RegistryUnreachable."""
    files: dict[str, bytes] = {}
    size = 0
    try:
        with tarfile.open(fileobj=io.BytesIO(packed), mode="r:gz") as archive:
            for entry in archive:
                content = archive.extractfile(entry) if entry.isreg() else None
                problem = "is not a file" if content is None else path_problem(entry.name)
                if content is None or problem:
                    raise RegistryUnreachable(f"The bundle is refused: {entry.name!r} {problem}")
                size += entry.size
                if size > most_bytes:
                    raise RegistryUnreachable(f"The bundle is refused: it unpacks to more than {most_bytes:,} bytes")
                files[entry.name] = content.read()
    except (tarfile.TarError, OSError, EOFError, ValueError, zlib.error) as error:
        raise RegistryUnreachable(f"The response is not a bundle of a registry ({error})") from error
    if files.keys().isdisjoint(MAIN_FILES):
        names = " and no ".join(MAIN_FILES)
        raise RegistryUnreachable(f"The response is not a bundle of a registry: it has no {names}")
    return files


def write_bundle(files: Mapping[str, bytes], directory: Path, *, sync: bool = False) -> None:
    """Write the files; the configuration last, so that all it refers to is there before it is. Errors: OSError.

    With `sync`, they also survive the end of the machine.
    """
    for path in sorted(files, key=lambda path: (path in MAIN_FILES, path)):
        file = directory / path
        file.parent.mkdir(parents=True, exist_ok=True)
        replace_file(file, files[path], sync=sync)
