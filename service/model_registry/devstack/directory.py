"""The data directory: its lock, the secrets and ports kept between runs, and files of mode 0600.

Starts no process.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shlex
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from model_registry.errors import StackError
from model_registry.private_files import (
    DIRECTORY_MODE,
    FILE_MODE,
    keep_private,
    make_private_directory,
    replace_private,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

_SECRET_BYTES = 48
_POSTGRES = {"postgres", "postgres.new"}
_OURS = {"cache", "lock", "logs", "nats", "ports.json", "postgrest", "secrets.json", "smg", "stack.env"} | _POSTGRES
_DRAFTS = (".ports.json.", ".secrets.json.", ".stack.env.")


class DataDirectory:
    """A data directory, locked while in use."""

    def __init__(self, path: Path) -> None:
        self.path = path.expanduser().resolve()
        self._lock: int | None = None

    def lock(self) -> None:
        """Create the directory and lock it. The lock ends with this process, however it ends.

        Raises:
            StackError: another process holds the lock, or the directory is not writable.
        """
        try:
            make_private_directory(self.path)
            descriptor = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise StackError(
                f"The data directory {self.path} cannot be used: {error.strerror}. Choose another one"
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 32).decode(errors="replace").strip() or "?"
            os.close(descriptor)
            message = (
                f"The data directory {self.path} is in use by process {holder}. Stop it, or choose another directory"
            )
            raise StackError(message) from None
        self._lock = descriptor
        try:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
            _tighten(self.path)
        except OSError as error:
            self.unlock()
            raise StackError(f"The data directory {self.path} cannot be used: {error}. Choose another one") from error

    def unlock(self) -> None:
        """Release the lock."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def secret(self, name: str) -> str:
        """Return the random secret of this name, created on the first call and kept."""
        kept = self._read("secrets.json")
        if name not in kept:
            kept[name] = secrets.token_urlsafe(_SECRET_BYTES)
            replace_private(self.path / "secrets.json", json.dumps(kept, indent=2).encode(), sync=True)
        return str(kept[name])

    def ports(self) -> dict[str, int]:
        """Return the ports of the last run, so that clients can keep using the same addresses."""
        return {name: port for name, port in self._read("ports.json").items() if isinstance(port, int)}

    def remember_ports(self, ports: Mapping[str, int]) -> None:
        """Keep the ports for the next run."""
        keep_private(self.path / "ports.json", json.dumps(ports, indent=2).encode())

    def _read(self, name: str) -> dict[str, str | int]:
        """Read a JSON file of this directory; empty when it is missing."""
        path = self.path / name
        try:
            content = json.loads(path.read_text())
        except FileNotFoundError:
            return {}
        except ValueError as error:
            raise StackError(f"{path} cannot be read: {error}. Delete it; it will be created anew") from error
        if not isinstance(content, dict):
            raise StackError(f"{path} has unexpected content. Delete it; it will be created anew")
        return content


def write_environment(path: Path, variables: Mapping[str, str]) -> None:
    """Write variables for a shell (`. stack.env`): mode 0600, atomically."""
    lines = [f"export {name}={shlex.quote(value)}\n" for name, value in sorted(variables.items())]
    keep_private(path, "".join(lines).encode())


def _tighten(path: Path) -> None:
    """Tighten modes left by an earlier version or a lax umask: files to 0600, directories to 0700.

    Only entries with our names: the directory may have held other files before. Postgres checks its own.
    """
    names = {entry.name for entry in path.iterdir()}
    shared = path.stat().st_mode & stat.S_ISVTX
    if not shared and all(name in _OURS or name.startswith(_DRAFTS) for name in names):
        path.chmod(DIRECTORY_MODE)
    for name in names & _OURS - _POSTGRES:
        ours = path / name
        if ours.is_symlink():
            continue
        ours.chmod(DIRECTORY_MODE if ours.is_dir() else FILE_MODE)
        for directory, directories, files in os.walk(ours):
            for entry in directories + files:
                below = Path(directory, entry)
                mode = below.lstat().st_mode
                if stat.S_ISDIR(mode) or stat.S_ISREG(mode):
                    below.chmod(DIRECTORY_MODE if stat.S_ISDIR(mode) else FILE_MODE)
