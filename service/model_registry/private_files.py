"""Files replaced whole or not at all; files and directories that only their owner may open, whatever the umask.

Private is what holds a secret or the catalogue. An error of these functions is an `OSError` that names the path.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO

FILE_MODE = 0o600
DIRECTORY_MODE = 0o700


def make_private_directory(path: Path) -> None:
    """Make the directory with mode 0700. One that exists is left as it is: its owner may share it on purpose."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        path.mkdir(mode=DIRECTORY_MODE)
    except FileExistsError:
        if not path.is_dir():
            raise
        return
    path.chmod(DIRECTORY_MODE)  # a umask can only take permissions away, and may have taken too many


def open_private(path: Path, mode: str, buffering: int = -1) -> IO[bytes]:
    """Open a file in binary; when that makes it, it has mode 0600."""
    return open(path, mode, buffering, opener=_opener(FILE_MODE))


def replace_file(
    path: Path,
    content: bytes,
    *,
    sync: bool = False,
    modified: float | None = None,
    mode: int | None = None,
) -> None:
    """Replace a file, whole or not at all: after an error or a crash the old one is there.

    Args:
        path: the file; its directory must exist.
        content: all of it.
        sync: wait until it is on the disk, so that it also survives the end of the machine.
        modified: its time of modification, in epoch seconds; by default now.
        mode: its permissions; by default those that the umask leaves.
    """
    # A name of its own for each writer: two processes may share the directory, and two threads a process.
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
    try:
        with open(draft, "xb", opener=None if mode is None else _opener(mode)) as file:
            file.write(content)
            if sync:
                file.flush()
                os.fsync(file.fileno())
        if modified is not None:
            os.utime(draft, (modified, modified))
        draft.replace(path)
    except BaseException as error:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
        if isinstance(error, OSError):
            error.filename = os.fspath(path)  # not the draft, which the caller does not know
        raise


def replace_private(path: Path, content: bytes, *, sync: bool = False, modified: float | None = None) -> None:
    """Replace a file by one of mode 0600; otherwise as `replace_file`."""
    replace_file(path, content, sync=sync, modified=modified, mode=FILE_MODE)


def keep_private(path: Path, content: bytes) -> None:
    """Have a file hold this content. An equal one is left as it is, so that a full disk is no reason to fail."""
    try:
        if path.read_bytes() == content:
            return
    except FileNotFoundError:
        pass
    replace_private(path, content)


def _opener(mode: int) -> Callable[[str, int], int]:
    def open_with_mode(path: str, flags: int) -> int:
        descriptor = os.open(path, flags, mode=mode)
        if flags & os.O_CREAT:
            os.fchmod(descriptor, mode)  # whatever the umask took away
        return descriptor

    return open_with_mode
