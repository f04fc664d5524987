"""A rendered configuration with its referenced files: for a gateway's directory, as an archive, and as a diff. Pure.

Equal content gives equal bytes, on every replica and at any time.
"""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Iterator, Mapping
from difflib import unified_diff

from model_registry.file_paths import CONFIG_FILE
from model_registry.gateways.tensorzero.own_content import own_files
from model_registry.gateways.tensorzero.project import below
from model_registry.gateways.tensorzero.rendering.render import RenderCache, Rendered, render
from model_registry.snapshot.snapshot import Snapshot

_PLACEHOLDER = ".keep"
"""Keeps an empty directory; its name starts with a dot, so templates cannot include it."""

_LEVEL = 1
"""gzip's fastest level: bundles are fetched over local networks, and made on every change."""


def bundle(snapshot: Snapshot, rendered: Rendered) -> dict[str, bytes]:
    """Return the files of a gateway's directory, by path: `tensorzero.toml` and the referenced files."""
    files = {file.path: file.content.encode() for file in own_files(snapshot)}
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


_NO_NEWLINE = "\\ No newline at end of file\n"


def configuration_diff(before: Snapshot, after: Snapshot) -> str:
    """Return the rendered configurations' difference as `diff -u` shows it; empty when they are equal."""
    cache = RenderCache()  # the second rendering only costs the difference
    old, new = _texts(before, cache), _texts(after, cache)
    paths = [CONFIG_FILE, *sorted((old.keys() | new.keys()) - {CONFIG_FILE})]
    labels = (f"revision {before.revision}", f"revision {after.revision}")
    return "".join(line for path in paths for line in _file_diff(path, old.get(path), new.get(path), labels))


def _texts(snapshot: Snapshot, cache: RenderCache) -> dict[str, str]:
    return {**{file.path: file.content for file in own_files(snapshot)}, CONFIG_FILE: render(snapshot, cache).text}


def _file_diff(path: str, old: str | None, new: str | None, labels: tuple[str, str]) -> Iterator[str]:
    if old == new:
        return
    names = (f"a/{path}" if old is not None else "/dev/null", f"b/{path}" if new is not None else "/dev/null")
    # Keep line ends, so that a last line without a newline is shown as diff shows it.
    for line in unified_diff(_lines(old), _lines(new), *names, *labels):
        yield line if line.endswith("\n") else f"{line}\n{_NO_NEWLINE}"


def _lines(text: str | None) -> list[str]:
    # Not splitlines, which also splits at characters that are no line ends to diff and patch.
    lines = (text or "").split("\n")
    return [f"{line}\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])
