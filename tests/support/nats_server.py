"""A separate NATS server: to be killed, restarted, or run without JetStream."""

from __future__ import annotations

import json
import os
import signal
import socket
from pathlib import Path
from typing import Any
from urllib.parse import quote

from model_registry.devstack.nats import Nats, _installed
from model_registry.devstack.ports import LOOPBACK, choose_port, require_free
from support.waiting import LONGEST


class NatsServer(Nats):
    """Like the stack's own, but with settings that a test may change between two starts."""

    def __init__(self, home: Path) -> None:
        self.token = "a/s3cr3t@that:n0body may see"  # noqa: S105 (made up)
        super().__init__(home, home.with_suffix(".log"), port=choose_port(None, taken=set()), token="")
        self.jetstream = True
        self.more: dict[str, Any] = {}
        """Further settings of the server."""

    @property
    def url(self) -> str:
        """The URL for clients, including the token."""
        return f"nats://{quote(self.token, safe='')}@{LOOPBACK}:{self.port}"

    def start(self) -> None:
        """Start it, and wait until it sends its greeting."""
        require_free(self.port, who=self.name, instead="try again")
        self._write_config()
        self._launch([_installed(), "--config", "nats.conf"], environment={})
        self._wait_until(self._greets, seconds=LONGEST)

    def reload(self) -> None:
        """Let it reload its settings: it disconnects clients that these no longer permit."""
        self._write_config()
        if self.pid is not None:
            os.kill(self.pid, signal.SIGHUP)

    def freeze(self) -> None:
        """Freeze it: its connections stay open, but it sends nothing."""
        if self.pid is not None:
            os.kill(self.pid, signal.SIGSTOP)

    def _write_config(self) -> None:
        settings: dict[str, Any] = {"host": LOOPBACK, "port": self.port, "authorization": {"token": self.token}}
        if self.jetstream:
            settings["jetstream"] = {"store_dir": "jetstream"}
        settings |= self.more
        self._write_settings("nats.conf", json.dumps({key: value for key, value in settings.items() if value}))

    def _greets(self) -> bool:
        try:
            with socket.create_connection((LOOPBACK, self.port), timeout=1) as connection:
                return connection.makefile("rb").readline().startswith(b"INFO ")
        except OSError:
            return False
