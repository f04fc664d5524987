"""Bundles a rendered configuration with its referenced files, for a gateway's directory. Pure.

Equal content gives equal bytes, on every replica and at any time.
"""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Mapping

from model_registry.file_paths import CONFIG_FILE
from model_registry.gateways.tensorzero.reading.project_paths import below
from model_registry.gateways.tensorzero.rendering.render import Rendered
from model_registry.snapshot.snapshot import Snapshot

_PLACEHOLDER = ".keep"
"""Keeps an empty directory; its name starts with a dot, so templates cannot include it."""

_LEVEL = 1
"""gzip's fastest level: bundles are fetched over local networks, and made on every change."""


def bundle(snapshot: Snapshot, rendered: Rendered) -> dict[str, bytes]:
    """Return the files of a gateway's directory, by path: `tensorzero.toml` and the referenced files."""
    files = {file.path: file.content.encode() for file in snapshot.files}
    directory = _base_path(snapshot)
    if directory is not None and directory != "." and not below(files, directory):
        # The gateway refuses a missing directory.
        files[f"{directory}/{_PLACEHOLDER}"] = b""
    return dict(sorted((files | {CONFIG_FILE: rendered.text.encode()}).items()))


def archive(files: Mapping[str, bytes]) -> bytes:
    """Pack the files as a tar.gz, byte-identical for equal files."""
    packed = io.BytesIO()
    with (
        gzip.GzipFile(filename="", mode="wb", compresslevel=_LEVEL, fileobj=packed, mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for path in sorted(files):
            entry = tarfile.TarInfo(path)  # mode 0644, time 0, no owner
            entry.size = len(files[path])
            tar.addfile(entry, io.BytesIO(files[path]))
    return packed.getvalue()


def _base_path(snapshot: Snapshot) -> str | None:
    """Return the directory that templates may include from, if it is inside the bundle."""
    for section in snapshot.sections.where("name", "gateway"):
        access = section.value.get("template_filesystem_access")
        path = access.get("base_path") if isinstance(access, dict) else None
        if isinstance(path, str) and not path.startswith(("/", "../")) and path != "..":
            return path
    return None
