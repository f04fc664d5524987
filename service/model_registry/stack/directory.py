"""The data directory: one owner at a time, what is remembered between runs, and files that only their owner reads.

Nothing here starts anything.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shlex
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from model_registry.errors import StackError

if TYPE_CHECKING:
    from collections.abc import Mapping

_SECRET_BYTES = 48


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
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
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
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        self._lock = descriptor

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
            write_private(self.path / "secrets.json", json.dumps(kept, indent=2))
        return str(kept[name])

    def ports(self) -> dict[str, int]:
        """Return the ports of the last run: who comes back on the same ports is found by those who kept the address."""
        return {name: port for name, port in self._read("ports.json").items() if isinstance(port, int)}

    def remember_ports(self, ports: Mapping[str, int]) -> None:
        """Keep the ports for the next run."""
        write_private(self.path / "ports.json", json.dumps(ports, indent=2))

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
    write_private(path, "".join(lines))


def write_private(path: Path, content: str) -> None:
    """Write a file that only its owner reads (0600), whole or not at all."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(content)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
