"""The circuit breaker: after failures in a row a target gets no requests, then exactly one, which decides.

Closed until `threshold` failures in a row; open for 1 s, 2 s, 4 s, at most 8 s; then half-open: one test request. If it
succeeds the breaker closes, if it fails the breaker opens for longer.
"""

from __future__ import annotations

from typing import Literal

BreakerState = Literal["closed", "open", "half_open"]
Admission = Literal["yes", "test", "no", "testing"]

_FIRST_OPEN_SECONDS = 1.0
_LONGEST_OPEN_SECONDS = 8.0
"""Below 10 s: a target that recovers is back within 10 s, as long as requests come to test it."""
_FORGIVEN_SECONDS = 30.0
"""Closed for so long, the next opening is short again. A target that flaps stays out for longer each time."""


class Breaker:
    """One circuit breaker. Who asks `admits` and gets `yes` or `test`, takes a permit, and reports how it ended."""

    __slots__ = ("_closed_at", "_failures", "_openings", "_threshold", "_until", "_usual", "epoch", "opened", "testing")

    def __init__(self, threshold: int) -> None:
        self._threshold = threshold
        self._failures = 0
        self._openings = 0
        self._until = 0.0
        self._closed_at = float("-inf")
        self._usual: Permit | None = None
        self.opened = False
        """Open or half-open."""
        self.testing = False
        """Whether the test request is under way."""
        self.epoch = 0
        """Number of openings so far. What requests of earlier epochs met no longer counts."""

    def state(self, now: float) -> BreakerState:
        """The state by its usual name."""
        if not self.opened:
            return "closed"
        return "half_open" if self.testing or now >= self._until else "open"

    def admits(self, now: float) -> Admission:
        """Whether a request may be sent now: `test` as the one that decides, `testing` while that is under way."""
        if not self.opened:
            return "yes"
        if self.testing:
            return "testing"
        return "test" if now >= self._until else "no"

    def permit(self, now: float) -> Permit:
        """Send a request: as the test if one is due, else without regard to the state."""
        if self.opened and not self.testing and now >= self._until:
            self.testing = True
            return Permit(self, test=True)
        usual = self._usual
        if usual is None or usual.epoch != self.epoch:
            usual = self._usual = Permit(self, test=False)  # all of one epoch are alike
        return usual

    def open(self, now: float) -> None:
        """Open, or stay open for as long again, without waiting for failures."""
        if not self.opened:
            if now - self._closed_at > _FORGIVEN_SECONDS:
                self._openings = 0
            self.opened = True
            self.epoch += 1
        elif now < self._until or self.testing:
            return
        self._openings += 1
        self._until = now + min(_LONGEST_OPEN_SECONDS, _FIRST_OPEN_SECONDS * 2 ** (self._openings - 1))

    def close(self, now: float) -> None:
        """Close: it works again."""
        self._failures = 0
        if self.opened:
            self.opened = self.testing = False
            self._closed_at = now

    @property
    def calm(self) -> bool:
        """Whether a success would change nothing."""
        return not (self.opened or self._failures)

    def hasten(self, now: float) -> None:
        """Make the test due now: there is a sign that it works again."""
        self._until = min(self._until, now)

    def count_failure(self, now: float) -> None:
        """Count a failure while closed, and open if it is one too many."""
        self._failures += 1
        if not self.opened and self._failures >= self._threshold:
            self.open(now)

    def count_success(self) -> None:
        """Count a success while closed: failures are counted in a row."""
        self._failures = 0


class Permit:
    """A request that a breaker let through. Report exactly one of `succeeded`, `failed` and `released`."""

    __slots__ = ("_breaker", "epoch", "test")

    def __init__(self, breaker: Breaker, *, test: bool) -> None:
        self._breaker = breaker
        self.epoch = breaker.epoch
        self.test = test

    def succeeded(self, now: float) -> bool:
        """Report that it worked. Returns whether this closed the breaker."""
        breaker = self._breaker
        if self.epoch != breaker.epoch:
            return False
        if not breaker.opened:
            breaker.count_success()
            return False
        breaker.close(now)
        return True

    def failed(self, now: float) -> None:
        """Report that it failed."""
        breaker = self._breaker
        if self.test and self.epoch == breaker.epoch and breaker.testing:
            breaker.testing = False
            breaker.open(now)
        elif self.epoch == breaker.epoch and not breaker.opened:
            breaker.count_failure(now)

    def released(self) -> None:
        """Report that it ended without telling anything: a test is due again."""
        if self.test and self.epoch == self._breaker.epoch:
            self._breaker.testing = False
