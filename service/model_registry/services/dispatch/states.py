"""How a target is, in one word with a reason, from all that is remembered of it."""

from __future__ import annotations

from model_registry.services.dispatch.balancing import FAILURES_TO_OPEN, RAMP_SECONDS, Upstream
from model_registry.services.dispatch.breaker import BreakerState
from model_registry.services.dispatch.targets import TargetState, TargetView

_LATELY_SECONDS = 10.0
_BREAKER_ORDER: tuple[BreakerState, ...] = ("closed", "half_open", "open")


def state_of(upstream: Upstream, now: float) -> tuple[TargetState, str]:
    """The state and its reason: what ejects comes first, then what is worth knowing."""
    health = upstream.health
    opened, cooling_until = [], 0.0  # one pass: this runs at the end of every request
    for name, lane in upstream.lanes.items():
        if lane.breaker.opened:
            opened.append((name, lane))
        cooling_until = max(cooling_until, lane.cooling_until)
    for name, lane in opened:
        if lane.key_refused:
            return "misconfigured", f"{name}: it refuses the key: {lane.last_failure}"
    if health.ejects:
        return health.state, health.reason
    if upstream.connections.opened:
        return "offline", health.reason if health.state == "offline" else "no connection to it can be opened"
    if cooling_until > now:
        return "rate-limited", f"it asked for a pause: {cooling_until - now:.0f} s are left"
    if opened:
        name, lane = opened[0]
        return "degraded", f"{name} failed {FAILURES_TO_OPEN} times in a row, the last time: {lane.last_failure}"
    return health.state, health.reason


def describe(upstream: Upstream, now: float) -> TargetView:
    """All of it, for people and metrics."""
    state, reason = state_of(upstream, now)
    lanes = upstream.lanes.values()
    breakers = [upstream.connections, *(lane.breaker for lane in lanes)]
    last_resort = now - upstream.last_resort_at < _LATELY_SECONDS
    if last_resort and state != "healthy":
        reason += "; it got requests all the same within the last 10 s, as no other target could take them"
    since = now - upstream.recovered_at
    return TargetView(
        state=state,
        reason=reason,
        in_flight=upstream.places.in_flight,
        breaker=max((breaker.state(now) for breaker in breakers), key=_BREAKER_ORDER.index),
        testing=any(breaker.testing for breaker in breakers),
        cooldown_seconds=max(0.0, *(lane.cooling_until - now for lane in lanes), 0.0),
        ramp=1.0 if since >= RAMP_SECONDS else max(0.1, since / RAMP_SECONDS),
        last_resort=last_resort,
    )
