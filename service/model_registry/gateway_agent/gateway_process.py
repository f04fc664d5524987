"""The gateway beside the agent: notified of a new bundle, and asked for its health. Knows nothing of registries."""

from __future__ import annotations

import logging
import os
import shlex
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

import httpx

from model_registry.loopback import is_loopback

log = logging.getLogger(__name__)

_EXEC_SECONDS = 60
_HEALTH_SECONDS = 2


class NotificationFailed(Exception):
    """The gateway could not be notified of the new bundle."""


@dataclass(frozen=True, slots=True)
class LocalGateway:
    """How to notify a gateway, and where to ask for its health. With nothing set, switching the link is enough."""

    command: str | None = None
    """Run without a shell, for at most 60 s; MODEL_REGISTRY_BUNDLE is the directory of the new bundle."""
    pid_file: Path | None = None
    signal: signal.Signals = signal.SIGHUP
    health: str | None = None
    """A URL that answers 2xx while the gateway is healthy. Asked with a timeout of 2 s."""

    def notify(self, bundle: Path) -> None:
        """Run the command, send the signal. A gateway that does not run yet is not notified.

        Raises:
            NotificationFailed: the command failed.
        """
        if self.command:
            try:
                subprocess.run(  # noqa: S603 (the operator's own command)
                    shlex.split(self.command),
                    env={**os.environ, "MODEL_REGISTRY_BUNDLE": str(bundle)},
                    timeout=_EXEC_SECONDS,
                    check=True,
                )
            except (OSError, ValueError, subprocess.SubprocessError) as error:
                raise NotificationFailed(f"the command {self.command!r} failed: {error}") from error
        if self.pid_file:
            try:
                os.kill(_pid(self.pid_file), self.signal)
            except (OSError, ValueError) as error:
                log.warning("no process to signal: %s", error)

    def is_healthy(self) -> bool:
        """Whether the health URL answers 2xx. True without one."""
        if self.health is None:
            return True
        try:
            return httpx.get(self.health, timeout=_HEALTH_SECONDS, trust_env=not is_loopback(self.health)).is_success
        except (httpx.HTTPError, httpx.InvalidURL):
            return False


def _pid(file: Path) -> int:
    pid = int(file.read_text("ascii").strip())
    if pid <= 0:  # a process group, or all processes
        raise ValueError(f"{file} does not contain a process id")
    return pid
