"""The limit on connections of the service: as configured, within the system's limit of open files."""

from __future__ import annotations

import resource
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from model_registry.api.http_protocol import Arrivals

_OWN_FILES = 112
"""Connections to the database and NATS, logs, snapshots, children, and connections being refused."""
_FEWEST = 8


def arrivals_of(app: ASGIApp, most: int) -> Arrivals:
    """Limits on this process's connections. Raises its limit of open files as far as permitted."""
    from model_registry.api.http_protocol import Arrivals

    state: Any = getattr(getattr(app, "state", None), "service", None)
    refused = state.metrics.refused if state is not None else (lambda _reason: None)
    return Arrivals(max(_FEWEST, min(most, _open_files(most + _OWN_FILES) - _OWN_FILES)), refused=refused)


def _open_files(wanted: int) -> int:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return soft
