"""The data directory: one owner at a time, what is remembered between runs, and files that only their owner reads.

Nothing here starts anything.
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
_OURS = {"cache", "lock", "logs", "nats", "ports.json", "postgrest", "secrets.json", "stack.env"} | _POSTGRES
_DRAFTS = (".ports.json.", ".secrets.json.", ".stack.env.")


class DataDirectory:
    """A data directory, locked while in use."""

    def __init__(self, path: Path) -> None:
        self.path = path.expanduser().resolve()
        self._lock: int | None = None

    def lock(self) -> None:
        """Make the directory and take it for us. The lock ends with our process, however that ends.

        Raises:
            StackError: another process has it, or it is not ours to write.
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
        """Give the directory back."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def secret(self, name: str) -> str:
        """Return the random secret of this name, made at the first call and the same ever after."""
        kept = self._read("secrets.json")
        if name not in kept:
            kept[name] = secrets.token_urlsafe(_SECRET_BYTES)
            replace_private(self.path / "secrets.json", json.dumps(kept, indent=2).encode(), sync=True)
        return str(kept[name])

    def ports(self) -> dict[str, int]:
        """Return the ports of the last run: who comes back on the same ports is found by those who kept the address."""
        return {name: port for name, port in self._read("ports.json").items() if isinstance(port, int)}

    def remember_ports(self, ports: Mapping[str, int]) -> None:
        """Keep the ports for the next run."""
        keep_private(self.path / "ports.json", json.dumps(ports, indent=2).encode())

    def _read(self, name: str) -> dict[str, str | int]:
        """Read a file of ours, empty when there is none."""
        path = self.path / name
        try:
            content = json.loads(path.read_text())
        except FileNotFoundError:
            return {}
        except ValueError as error:
            raise StackError(f"{path} cannot be read: {error}. Delete it; a new one is made") from error
        if not isinstance(content, dict):
            raise StackError(f"{path} is not what was written there. Delete it; a new one is made")
        return content


def write_environment(path: Path, variables: Mapping[str, str]) -> None:
    """Write variables so that a shell can read them (`. stack.env`): mode 0600, and never half a file."""
    lines = [f"export {name}={shlex.quote(value)}\n" for name, value in sorted(variables.items())]
    keep_private(path, "".join(lines).encode())


def _tighten(path: Path) -> None:
    """Close what an earlier version, or a lax umask, left open: files become 0600, directories 0700.

    Only what is ours by its name: the directory may have been somebody's home before. Postgres looks after its own.
    """
    names = {entry.name for entry in path.iterdir()}
    shared = path.stat().st_mode & stat.S_ISVTX
    if not shared and all(name in _OURS or name.startswith(_DRAFTS) for name in names):
        path.chmod(DIRECTORY_MODE)
    for name in names & _OURS - _POSTGRES:
        found = path / name
        if found.is_symlink():
            continue
        found.chmod(DIRECTORY_MODE if found.is_dir() else FILE_MODE)
        for directory, directories, files in os.walk(found):
            for entry in directories + files:
                below = Path(directory, entry)
                mode = below.lstat().st_mode
                if stat.S_ISDIR(mode) or stat.S_ISREG(mode):
                    below.chmod(DIRECTORY_MODE if stat.S_ISDIR(mode) else FILE_MODE)
