"""How a target is, worked out anew from everything that ever happened to it: slowly and plainly, on purpose.

`services/dispatch/` remembers instead. It must not share a mistake with this, so it shares no code.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

FAILURES = 5
FORGIVEN_SECONDS = 30
LONGEST_PAUSE_SECONDS = 300
BUSY_SECONDS = 60
"""A test of one whose health checks time out waits for so much longer."""

Said = Literal["good", "bad", "nothing"]


@dataclass(frozen=True)
class Sent:
    """A request was sent to the target."""

    at: float
    number: int
    capability: str


@dataclass(frozen=True)
class Answered:
    """A good response to it began, or it ended: what that says about the connection, and about the capability."""

    at: float
    number: int
    capability: str
    connection: Said
    answer: Said
    pause: float | None = None
    """Seconds for which the target asked not to be sent more."""
    ended: bool = True


@dataclass(frozen=True)
class Probed:
    """A health check."""

    at: float
    kind: Literal["ok", "timeout", "refused", "500", "401", "503"]
    grace_seconds: float


Event = Sent | Answered | Probed


@dataclass
class Breaker:
    """A breaker, after all events."""

    threshold: int
    open: bool = False
    until: float = 0.0
    test: int | None = None
    failures: int = 0
    openings: int = 0
    closed_at: float = float("-inf")
    counted: set[int] = field(default_factory=set)
    """Requests sent since it last opened: only these count."""

    def sent(self, number: int, now: float) -> None:
        self.counted.add(number)
        if self.open and self.test is None and now >= self.until:
            self.test = number

    def ended(self, number: int, said: Said, now: float) -> None:
        tested, counts = number == self.test, number in self.counted
        if said == "nothing":
            self.test = None if tested else self.test
        elif said == "good" and counts:
            self.close(now)
        elif said == "bad" and tested:
            self.test = None
            self.stay_open(now)
        elif said == "bad" and counts and not self.open:
            self.failures += 1
            if self.failures == self.threshold:
                self.trip(now)

    def close(self, now: float) -> None:
        self.failures, self.test = 0, None
        if self.open:
            self.open, self.closed_at = False, now

    def trip(self, now: float) -> None:
        self.openings = self.openings if now - self.closed_at <= FORGIVEN_SECONDS else 0
        self.open, self.counted = True, set()
        self.stay_open(now)

    def stay_open(self, now: float) -> None:
        self.openings += 1
        self.until = now + {1: 1, 2: 2, 3: 4}.get(self.openings, 8)

    def lets_through(self, now: float) -> Literal["all", "one", "none", "none more"]:
        if not self.open:
            return "all"
        if self.test is not None:
            return "none more"
        return "one" if now >= self.until else "none"


def breaker_of(events: list[Event], capability: str) -> Breaker:
    """The breaker of a capability."""
    breaker = Breaker(FAILURES)
    for place, event in enumerate(events):
        if isinstance(event, Probed) and event.kind == "ok" and health_of(events[:place]).state != "healthy":
            breaker.until = min(breaker.until, event.at)
        elif isinstance(event, Sent) and event.capability == capability:
            breaker.sent(event.number, event.at)
        elif isinstance(event, Answered) and event.capability == capability:
            breaker.ended(event.number, event.answer, event.at)
    return breaker


def connections_of(events: list[Event]) -> Breaker:
    """The breaker of the connections: one that is refused is enough, a health check's as well."""
    breaker = Breaker(1)
    for event in events:
        if isinstance(event, Sent):
            breaker.sent(event.number, event.at)
        elif isinstance(event, Answered):
            breaker.ended(event.number, event.connection, event.at)
        elif event.kind == "refused":
            if not breaker.open:
                breaker.trip(event.at)
            elif breaker.test is None and event.at >= breaker.until:
                breaker.stay_open(event.at)
        elif event.kind != "timeout":
            breaker.close(event.at)
    return breaker


def paused_until(events: list[Event], capability: str) -> float:
    """When the target may be asked again, by its own word."""
    ends = [
        event.at + min(event.pause, LONGEST_PAUSE_SECONDS)
        for event in events
        if isinstance(event, Answered) and event.capability == capability and event.pause is not None
    ]
    return max(ends, default=0.0)


def in_flight(events: list[Event]) -> int:
    """Requests that are under way."""
    begun = sum(isinstance(event, Sent) for event in events)
    return begun - sum(isinstance(event, Answered) and event.ended for event in events)


@dataclass
class Health:
    """What health checks say, after all events."""

    state: str = "healthy"
    ejected: bool = False
    failed: int = 0
    was_well: bool = False
    failing_since: float | None = None
    answered: bool = False
    """A request, since the last check."""

    def good_answer(self) -> None:
        self.answered, self.failed, self.failing_since = True, 0, None
        if self.ejected:
            self.state, self.ejected = "degraded", False
        elif self.state == "offline":
            self.state = "healthy"

    def probed(self, event: Probed, *, busy: bool) -> None:
        answered, self.answered = self.answered, False
        if event.kind == "ok":
            self.state, self.ejected, self.failed, self.was_well, self.failing_since = "healthy", False, 0, True, None
            return
        self.failing_since = event.at if self.failing_since is None else self.failing_since
        if event.kind == "refused":
            self.state, self.ejected, self.was_well = "offline", False, False
        elif event.kind == "401":
            self.state, self.ejected = "misconfigured", not answered
        elif event.kind == "503" and not self.was_well:
            self.state, self.ejected = "warming", not answered
        elif event.kind == "timeout" and (busy or event.at - self.failing_since < event.grace_seconds):
            self.state, self.ejected = "busy", False
        else:
            self.failed = 1 if answered else self.failed + 1
            self.state, self.ejected = ("offline", True) if self.failed > 1 else ("degraded", False)


def health_of(events: list[Event]) -> Health:
    """What health checks say, set against what requests met."""
    health = Health()
    for place, event in enumerate(events):
        if isinstance(event, Answered) and event.answer == "good":
            health.good_answer()
        elif isinstance(event, Probed):
            health.probed(event, busy=in_flight(events[:place]) > 0)
    return health


def state_of(events: list[Event], capabilities: list[str], now: float) -> str:
    """The word for it: what keeps requests away comes first."""
    health = health_of(events)
    if health.ejected:
        return health.state
    if connections_of(events).open:
        return "offline"
    if any(paused_until(events, one) > now for one in capabilities):
        return "rate-limited"
    if any(breaker_of(events, one).open for one in capabilities):
        return "degraded"
    return health.state


def condition(events: list[Event], capability: str, most: int | None, now: float) -> str:
    """What can be done with it: `free`, `busy`, `test`, `full`, `paused`, `ejected`, `testing` or `ejected full`."""
    if paused_until(events, capability) > now:
        return "paused"
    full = most is not None and in_flight(events) >= most
    health = health_of(events)
    due = now - BUSY_SECONDS if health.state == "busy" else now
    both = {breaker_of(events, capability).lets_through(due), connections_of(events).lets_through(due)}
    if health.ejected or both & {"none", "none more"}:
        testing = not health.ejected and "none more" in both
        return "ejected full" if full else "testing" if testing else "ejected"
    if full:
        return "full"
    return "test" if "one" in both else "busy" if health.state == "busy" else "free"
