"""One request at one target: the place it takes there, and what its outcome says about the target."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from model_registry.services.dispatch.balancing import Lane, Upstream
from model_registry.services.dispatch.targets import Effect, Outcome, Target

Note = Callable[[str, Upstream, float], None]
"""Looks whether the state of a target has changed."""

_DEFAULT_COOLDOWN_SECONDS: Final = 1.0
_LONGEST_COOLDOWN_SECONDS: Final = 300.0
_SERVER_ERROR: Final = 500


class Lease:
    """One request at one target: its place there, and its word on how the target is. End it with `finish`."""

    __slots__ = ("_answer", "_connection", "_finished", "_lane", "_note", "last_resort", "target")

    def __init__(self, note: Note, target: Target, lane: Lane, now: float, *, last_resort: bool) -> None:
        self.target = target
        self.last_resort = last_resort
        """Whether the target should get no requests, and got this one because no other could take it."""
        self._note = note
        self._lane = lane
        self._finished = False
        lane.upstream.places.take()
        self._connection = lane.upstream.connections.permit(now)
        self._answer = lane.breaker.permit(now)

    @property
    def test(self) -> bool:
        """Whether it is the one request that a half-open breaker let through."""
        return self._connection.test or self._answer.test

    def began(self, now: float) -> None:
        """A good response has begun: the test is passed, though the body may go on for hours."""
        if not self._finished:
            self._succeeded(now)

    def finish(self, outcome: Outcome, now: float) -> None:
        """Give the place back, and report how it ended. Once; later calls change nothing."""
        if self._finished:
            return
        self._finished = True
        upstream = self._lane.upstream
        upstream.places.give_back(outcome.seconds)
        effect = outcome.effect(our_key=self.target.authorisation_variable is not None)
        if effect == "success":
            self._succeeded(now)
        else:
            self._report_connection(outcome, now)
            self._report_answer(outcome, effect, now)
        self._note(self.target.key, upstream, now)

    def _succeeded(self, now: float) -> None:
        lane = self._lane
        upstream = lane.upstream
        if upstream.health.calm and upstream.connections.calm and lane.breaker.calm:
            return
        connected, answered = self._connection.succeeded(now), self._answer.succeeded(now)
        if connected or answered or upstream.health.ejects:
            upstream.recovered_at = now
        upstream.health.answered()

    def _report_connection(self, outcome: Outcome, now: float) -> None:
        if outcome.kind == "not_connected":
            self._connection.failed(now)
        elif outcome.kind in {"client_left", "refused_by_us"}:
            self._connection.released()
        elif self._connection.succeeded(now):
            self._lane.upstream.recovered_at = now

    def _report_answer(self, outcome: Outcome, effect: Effect, now: float) -> None:
        lane = self._lane
        if effect != "failure":
            self._answer.released()
        else:
            lane.last_failure = str(outcome)
            lane.key_refused = outcome.kind == "status" and (outcome.status or 0) < _SERVER_ERROR
            lane.count_failure(now)
            self._answer.failed(now)
        if effect == "cool_down":
            pause = _DEFAULT_COOLDOWN_SECONDS if outcome.retry_after is None else outcome.retry_after
            lane.cooling_until = max(lane.cooling_until, now + min(_LONGEST_COOLDOWN_SECONDS, max(0.0, pause)))
