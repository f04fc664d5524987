"""How a target is by its health checks, set against what requests to it meet.

An instance that answers requests is not offline, whatever its health check says. One with a request of ours in flight,
or that may be training, is busy while its health checks only time out: model services train on their event loop.
"""

from __future__ import annotations

from typing import Final, Literal

from model_registry.services.dispatch.targets import ProbeResult

HealthState = Literal["healthy", "busy", "warming", "degraded", "offline", "misconfigured"]

_FAILED_PROBES: Final = 2
"""A single missed health check declares nobody dead."""
_KEY_REFUSED: Final = (401, 403)
_UNAVAILABLE: Final = 503


class Health:
    """What the health checks of one target say."""

    __slots__ = ("_answered", "_failed", "_failing_since", "_was_well", "ejects", "reason", "state")

    def __init__(self) -> None:
        self.state: HealthState = "healthy"
        self.reason = ""
        self.ejects = False
        """Whether the target gets no requests because of them."""
        self._failed = 0
        self._failing_since: float | None = None
        self._was_well = False
        self._answered = False  # a request, since the last health check

    def probed(self, result: ProbeResult, *, in_flight: bool, grace_seconds: float, now: float) -> None:
        """Take the result of a health check into account. `in_flight`: a request of ours is under way there."""
        answered, self._answered = self._answered, False
        if result.kind == "ok":
            self._was_well = True
            self._failed = 0
            self._failing_since = None
            self._set("healthy", "", ejects=False)
            return
        since = self._failing_since = now if self._failing_since is None else self._failing_since
        if result.kind == "refused":
            self._was_well = False
            self._set("offline", str(result), ejects=False)  # the breaker of its connections ejects it
        elif result.kind == "status" and result.status in _KEY_REFUSED:
            self._set("misconfigured", str(result), ejects=not answered)
        elif result.kind == "status" and result.status == _UNAVAILABLE and not self._was_well:
            self._set("warming", str(result), ejects=not answered)
        elif result.kind == "timeout" and (in_flight or now - since < grace_seconds):
            self._set("busy", str(result), ejects=False)
        else:
            self._failed += 1
            offline = self._failed >= _FAILED_PROBES
            self._set("offline" if offline else "degraded", str(result), ejects=offline)

    @property
    def calm(self) -> bool:
        """Whether a well answered request would change nothing."""
        return self._answered and self.state == "healthy"

    def answered(self) -> None:
        """A request was answered well: it is there, whatever its health checks say."""
        self._answered = True
        if self.state == "healthy":
            return
        self._failed = 0
        self._failing_since = None
        if self.ejects:
            self._set("degraded", f"it answers requests, but {self.reason}", ejects=False)
        elif self.state == "offline":
            self._set("healthy", "", ejects=False)

    def _set(self, state: HealthState, reason: str, *, ejects: bool) -> None:
        self.state, self.reason, self.ejects = state, reason, ejects
