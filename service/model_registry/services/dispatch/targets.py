"""What dispatch may send to, what a request to it met, what a probe of it met, and how it is.

Plain values: who builds a target, and who sends, probes or shows it, is elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

TargetState = Literal[
    "healthy",
    "busy",
    "warming",
    "degraded",
    "offline",
    "misconfigured",
    "rate-limited",
    "draining",
    "retired",
]

_TOO_MANY_REQUESTS: Final = 429
_UNAVAILABLE: Final = 503
_SERVER_ERROR: Final = 500
_OUR_KEY_REFUSED: Final = (401, 403)


@dataclass(frozen=True, slots=True)
class Target:
    """One address that dispatch may send requests to."""

    key: str
    """Who it is: `instance:<service_id>`, `provider:<name>` or `deployment:<node>/<provider type>/<model>`."""
    url: str
    """Base address, without a slash at the end."""
    capabilities: frozenset[str]
    weight: float = 1.0
    """Its share of the requests, relative to the other targets. 0: none while another can take them; who registers an
    instance cannot say so, but SQL can."""
    tier: int = 0
    """Lower first. The next tier gets a request only if no target of the tiers before can take it."""
    max_concurrent: int | None = None
    """Most requests at once from this replica, over all capabilities."""
    version: str | None = None
    accepts: bool = True
    """False while it is draining or retired: no new requests."""
    grace_seconds: float = 0.0
    """For so long, probes that time out never make it offline (it trains, and its event loop is blocked)."""
    model: str | None = None
    """What the upstream calls the model (language models)."""
    authorisation_variable: str | None = None
    """The environment variable with the key that the upstream wants."""


OutcomeKind = Literal["ok", "not_connected", "broken", "timeout", "status", "client_left", "refused_by_us"]
Effect = Literal["success", "failure", "cool_down", "none"]


@dataclass(slots=True)
class Outcome:
    """How one request to one target ended. Nobody changes it; freezing would take a microsecond."""

    kind: OutcomeKind
    """`ok`: answered in full. `status`: answered with `status`. `not_connected`: nothing was sent. `broken`: the
    connection ended before the response did. `client_left`, `refused_by_us`: tells nothing about the target."""
    status: int | None = None
    retry_after: float | None = None
    """Seconds, from the response's Retry-After."""
    seconds: float = 0.0
    """From the choice of the target to the end."""

    def effect(self, *, our_key: bool) -> Effect:
        """What it means for the target. `our_key`: the request carried our key, so 401 and 403 are its failures."""
        if self.kind in {"client_left", "refused_by_us", "not_connected"}:
            return "none"
        if self.kind in {"broken", "timeout"}:
            return "failure"
        status = self.status or 0
        if status == _TOO_MANY_REQUESTS or (status == _UNAVAILABLE and self.retry_after is not None):
            return "cool_down"
        return "failure" if status >= _SERVER_ERROR or (our_key and status in _OUR_KEY_REFUSED) else "success"

    def __str__(self) -> str:
        return f"answered {self.status}" if self.kind == "status" else _SHOWN.get(self.kind, self.kind)


_SHOWN: dict[str, str] = {
    "not_connected": "no connection",
    "broken": "the connection ended before the response did",
    "timeout": "no answer in time",
}

ProbeKind = Literal["ok", "timeout", "refused", "broken", "status", "unexpected_body"]


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """What one health check of a target met."""

    kind: ProbeKind
    """`timeout`: no answer in time, or no connection in time. `refused`: nothing listens at the address, or its name
    does not resolve. `unexpected_body`: 200, but with none of the accepted words."""
    status: int | None = None
    detail: str = ""
    """For people: the address asked, the word read, the reason of the refusal."""

    def __str__(self) -> str:
        shown = {
            "timeout": "its health check times out",
            "refused": "it refuses connections",
            "broken": "its health check ends without an answer",
            "status": f"its health check answers {self.status}",
            "unexpected_body": "its health check does not say that it is well",
        }.get(self.kind, "")
        return f"{shown} ({self.detail})" if self.detail else shown


UnavailableReason = Literal["no_target", "not_accepting", "all_tried", "full", "rate_limited"]


@dataclass(frozen=True, slots=True)
class Unavailable:
    """No target can take the request now."""

    reason: UnavailableReason
    """`no_target`: none has the capability. `not_accepting`: all that have it are draining or retired. `all_tried`: the
    request was tried at all others. `full`: every target that works has its `max_concurrent` requests. `rate_limited`:
    those left asked for a pause."""
    retry_after: float
    """Seconds after which it is worth asking again."""
    message: str
    wait: bool = False
    """Whether waiting for a free place is worth it: only for `full`."""


@dataclass(frozen=True, slots=True)
class TargetView:
    """How a target is, for people and metrics. `draining` and `retired` are the instance's row's, not known here."""

    state: TargetState
    reason: str
    """Why; empty for healthy."""
    in_flight: int
    breaker: Literal["closed", "open", "half_open"]
    """The worst of its breakers: of its connections, and of each capability."""
    testing: bool
    """Whether a breaker is half-open, and its one test request is under way."""
    cooldown_seconds: float
    """How long it gets no requests because it asked for that (429, or 503 with Retry-After); 0 if it did not."""
    ramp: float
    """The part of its weight that it has now, 0.1 to 1: after a recovery, requests come back gradually."""
    last_resort: bool
    """Whether it was lately sent requests although it should get none, because no other could take them."""
