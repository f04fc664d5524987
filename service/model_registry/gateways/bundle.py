"""A gateway's files in one piece: as an archive, and as a difference. Pure; the same for all kinds.

Equal content gives equal bytes, on every replica and at any time.
"""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Iterator, Mapping
from difflib import unified_diff

_LEVEL = 1
"""gzip's fastest level: bundles are fetched over local networks, and made on every change."""
_NO_NEWLINE = "\\ No newline at end of file\n"


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


def files_diff(old: Mapping[str, bytes], new: Mapping[str, bytes], labels: tuple[str, str], first: str) -> str:
    """Return the difference of two bundles as `diff -u` shows it; empty when they are equal.

    Args:
        old: path -> content before.
        new: path -> content after.
        labels: what stands beside the names of each.
        first: the path that comes first; the others are in order.
    """
    paths = [first, *sorted((old.keys() | new.keys()) - {first})]
    return "".join(line for path in paths for line in _file_diff(path, old.get(path), new.get(path), labels))


def _file_diff(path: str, old: bytes | None, new: bytes | None, labels: tuple[str, str]) -> Iterator[str]:
    if old == new:
        return
    names = (f"a/{path}" if old is not None else "/dev/null", f"b/{path}" if new is not None else "/dev/null")
    # Keep line ends, so that a last line without a newline is shown as diff shows it.
    for line in unified_diff(_lines(old), _lines(new), *names, *labels):
        yield line if line.endswith("\n") else f"{line}\n{_NO_NEWLINE}"


def _lines(content: bytes | None) -> list[str]:
    # Not splitlines, which also splits at characters that are no line ends to diff and patch.
    lines = (content or b"").decode().split("\n")
    return [f"{line}\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])
