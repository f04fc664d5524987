"""Sorts the targets of one request by what can be done with them, and keeps those that may get it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from model_registry.entities.model_service import Strategy
from model_registry.services.dispatch.balancing import Candidate, Lane
from model_registry.services.dispatch.targets import Target, Unavailable

Condition = Literal["free", "busy", "test", "full", "cooling", "ejected", "testing", "ejected_full"]
"""`free`, `busy` and `test` can take a request, `full` could. `busy`: its health checks time out. `test`: a breaker
is half-open and waits for its test request, which is under way in `testing`. `ejected`: it should get no requests."""

_BUSY_SECONDS: Final = 60.0
"""How much later a test is due while health checks time out. When they no longer do, it is due as usual."""
_SOON_SECONDS: Final = 1.0
_NOBODY_SECONDS: Final = 10.0


def condition_of(target: Target, lane: Lane, now: float) -> Condition:
    """What can be done with a target that accepts requests."""
    upstream = lane.upstream
    if lane.cooling_until > now:
        return "cooling"
    full = target.max_concurrent is not None and upstream.places.in_flight >= target.max_concurrent
    if upstream.health.ejects:
        return "ejected_full" if full else "ejected"
    if not upstream.connections.opened and not lane.breaker.opened:
        return "full" if full else "busy" if upstream.health.state == "busy" else "free"
    # A test of one whose event loop is blocked would make its caller wait for nothing.
    due = now - _BUSY_SECONDS if upstream.health.state == "busy" else now
    admissions = (upstream.connections.admits(due), lane.breaker.admits(due))
    if "testing" not in admissions and "no" not in admissions:
        return "full" if full else "test"
    return "ejected_full" if full else "testing" if "testing" in admissions else "ejected"


class Candidates:
    """The targets that have the capability, accept requests, and were not tried."""

    __slots__ = ("_by_condition",)

    def __init__(self) -> None:
        self._by_condition: dict[Condition, list[Candidate]] = {}

    def add(self, condition: Condition, target: Target, lane: Lane) -> None:
        """Add one of them."""
        same = self._by_condition.get(condition)
        if same is None:
            self._by_condition[condition] = [(target, lane)]
        else:
            same.append((target, lane))

    def working(self, strategy: Strategy, *, first_try: bool, repeatable: bool) -> Sequence[Candidate]:
        """Those of the best tier that can take the request, and of these the ones to choose from.

        A test that is due goes first, so that a target that works again is back at once; but a request that cannot be
        repeated, or has failed already, is not put at risk for it. Busy ones wait until no other is left, except where
        requests stick to them.
        """
        found = self._by_condition
        free = _of_tier(found.get("free"))
        if "busy" not in found and "test" not in found:
            return free
        busy, tests = _of_tier(found.get("busy")), _of_tier(found.get("test"))
        tier = min(target.tier for some in (free, busy, tests) for target, _ in some[:1])
        free, busy, tests = ([one for one in some if one[0].tier == tier] for some in (free, busy, tests))
        if strategy == "sticky":
            return [*free, *busy, *tests]
        if first_try and tests:
            return tests if repeatable else [*(free or busy), *tests]
        return free or busy or tests

    def last_resort(self) -> Sequence[Candidate]:
        """Those of the best tier that should get no requests; none while one that works is only full."""
        if "full" in self._by_condition:
            return ()
        return _of_tier(self._by_condition.get("ejected") or self._by_condition.get("testing"))

    def unavailable(self, now: float) -> Unavailable:
        """Why none of them can take the request."""
        if full := self._by_condition.get("full") or self._by_condition.get("ejected_full"):
            wait = min(lane.upstream.places.expected_wait() for _, lane in full)
            return Unavailable("full", wait, "every instance has as many requests as it may have at once", wait=True)
        if cooling := self._by_condition.get("cooling"):
            wait = min(lane.cooling_until for _, lane in cooling) - now
            return Unavailable("rate_limited", wait, f"the instances left asked for a pause of {wait:.0f} s")
        return Unavailable("all_tried", _SOON_SECONDS, "the request was tried at every instance")


def nobody(targets: Sequence[Target], capability: str) -> Unavailable | None:
    """Why no target could ever take the request, if none could."""
    able = [target for target in targets if capability in target.capabilities]
    if not able:
        return Unavailable("no_target", _NOBODY_SECONDS, f"no instance has the capability {capability}")
    if any(target.accepts for target in able):
        return None
    return Unavailable("not_accepting", _NOBODY_SECONDS, f"all instances with {capability} are draining or retired")


def _of_tier(candidates: Sequence[Candidate] | None) -> Sequence[Candidate]:
    """Those of the best tier."""
    if not candidates:
        return ()
    if len(candidates) == 1:
        return candidates
    tier = candidates[0][0].tier
    if all([target.tier == tier for target, _ in candidates]):  # noqa: C419 (a list is faster for a few)
        return candidates
    tier = min(target.tier for target, _ in candidates)
    return [one for one in candidates if one[0].tier == tier]
