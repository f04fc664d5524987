"""Says in the log, and counts, when a target of dispatch is no longer as it was. Each replica for itself."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from model_registry.services.dispatch.targets import TargetState

log = structlog.get_logger(__name__)

_WELL = frozenset({"healthy", "busy", "warming"})


class StateChanges:
    """What the balancer tells about its targets."""

    def __init__(self, count: Callable[[str, TargetState], None]) -> None:
        self._count = count

    def note(self, key: str, before: TargetState, now: TargetState, reason: str) -> None:
        """Note that a target, by its key, is another than before."""
        kind, _, name = key.partition(":")
        self._count(kind, now)
        say = log.info if now in _WELL else log.warning
        say("state changed", **{kind: name}, before=before, now=now, reason=reason)
