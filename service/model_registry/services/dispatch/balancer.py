"""Picks the target of each request, and remembers how the targets are: in memory, per replica.

Every method takes `now`, in monotonic seconds. A request costs one `pick` and one `Lease.finish`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence

from model_registry.entities.model_service import Strategy
from model_registry.services.dispatch.balancing import Lane, Upstream, choose
from model_registry.services.dispatch.candidates import Candidates, condition_of, nobody
from model_registry.services.dispatch.lease import Lease
from model_registry.services.dispatch.states import describe, state_of
from model_registry.services.dispatch.targets import (
    ProbeResult,
    Target,
    TargetState,
    TargetView,
    Unavailable,
)

Changed = Callable[[str, TargetState, TargetState, str], None]
"""Gets a target's key, its state before and now, and the reason."""

_SWEEP_SECONDS = 60.0


class Balancer:
    """The targets of one replica, as its requests and health checks met them."""

    def __init__(self, changed: Changed | None = None, *, idle_seconds: float = 7200.0) -> None:
        """`changed` is called with every change of a target's state.

        A target without a request or health check for `idle_seconds` is forgotten, as it was deleted. The longest
        interval between two health checks is half of that.
        """
        self._changed = changed
        self._idle_seconds = idle_seconds
        self._next_sweep = 0.0
        self._upstreams: dict[str, Upstream] = {}
        self._picks = 0
        self._lanes: dict[str, dict[str, Lane]] = {}  # by capability and key

    def pick(  # noqa: PLR0913 (what a request says)
        self,
        targets: Sequence[Target],
        capability: str,
        *,
        strategy: Strategy,
        now: float,
        tried: Collection[str] = (),
        sticky: str | None = None,
        repeatable: bool = True,
    ) -> Lease | Unavailable:
        """Take a place at the target that a request is sent to next.

        Targets that work come first, tier by tier. If none of them is left, not even a full one, any other is tried as
        a last resort: nothing is refused because everything looks broken.

        Args:
            targets: Those of the model service, in any order.
            capability: What is asked for.
            strategy: How to share the requests among targets that can take one.
            now: Monotonic seconds.
            tried: Keys of the targets at which this request has failed.
            sticky: Requests with the same value go to the same target (strategy `sticky`).
            repeatable: Whether it may be sent again if it fails. One that may be, tests a target that may work again.
        """
        found = self._look_up(targets, capability, tried, now)
        candidates = found.working(strategy, first_try=not tried, repeatable=repeatable)
        last_resort = () if candidates else found.last_resort()
        if not candidates and not last_resort:
            return nobody(targets, capability) or found.unavailable(now)
        target, lane = choose(candidates or last_resort, strategy, sticky, now)
        self._picks += 1
        lane.picked = self._picks
        if last_resort:
            lane.upstream.last_resort_at = now
        return Lease(self._note, target, lane, now, last_resort=bool(last_resort))

    def _look_up(self, targets: Sequence[Target], capability: str, tried: Collection[str], now: float) -> Candidates:
        found = Candidates()
        lanes = self._lanes_of(capability)
        for target in targets:
            if target.accepts and capability in target.capabilities and target.key not in tried:
                lane = lanes.get(target.key) or self._new_lane(target.key, capability, now)
                found.add(condition_of(target, lane, now), target, lane)
        return found

    def probed(self, target: Target, result: ProbeResult, now: float) -> None:
        """Take the result of a health check of a target into account."""
        upstream = self._upstream(target.key, now)
        in_flight = upstream.places.in_flight > 0
        ejected, before = upstream.health.ejects, upstream.health.state
        upstream.health.probed(result, in_flight=in_flight, grace_seconds=target.grace_seconds, now=now)
        if result.kind == "refused":
            upstream.connections.open(now)
        elif result.kind != "timeout" and upstream.connections.opened:
            upstream.connections.close(now)
            ejected = True
        if ejected and not upstream.health.ejects:
            upstream.recovered_at = now
        if result.kind == "ok" and before != "healthy":
            for lane in upstream.lanes.values():
                lane.breaker.hasten(now)
        self._note(target.key, upstream, now)

    def view(self, key: str, now: float) -> TargetView:
        """How a target is. One that nothing is known of is healthy."""
        upstream = self._upstreams.get(key)
        if upstream is None:
            return describe(Upstream(key, now), now)
        self._note(key, upstream, now)
        return describe(upstream, now)

    def views(self, now: float) -> Iterator[tuple[str, TargetView]]:
        """Every target that a request or a health check has met, by its key."""
        return ((key, describe(upstream, now)) for key, upstream in self._upstreams.items())

    def in_flight(self, key: str) -> int:
        """How many requests to a target are running: the part of `view` that is asked for every second."""
        upstream = self._upstreams.get(key)
        return upstream.places.in_flight if upstream is not None else 0

    def _note(self, key: str, upstream: Upstream, now: float) -> None:
        """Report a change of a target's state, if there is one."""
        upstream.used_at = now
        state, reason = state_of(upstream, now)
        before = upstream.state
        if state != before:
            upstream.state = state
            if self._changed is not None:
                self._changed(key, before, state, reason)

    def _upstream(self, key: str, now: float) -> Upstream:
        upstream = self._upstreams.get(key)
        if upstream is None:
            if now >= self._next_sweep:
                self._next_sweep = now + _SWEEP_SECONDS
                self._forget_idle(now - self._idle_seconds)
            upstream = self._upstreams[key] = Upstream(key, now)
        return upstream

    def _forget_idle(self, since: float) -> None:
        """Forget targets that are no longer used; not those with requests in flight, whose places must be counted."""
        gone = [key for key, one in self._upstreams.items() if one.used_at < since and not one.places.in_flight]
        for key in gone:
            del self._upstreams[key]
            for lanes in self._lanes.values():
                lanes.pop(key, None)

    def _lanes_of(self, capability: str) -> dict[str, Lane]:
        lanes = self._lanes.get(capability)
        if lanes is None:
            lanes = self._lanes[capability] = {}
        return lanes

    def _new_lane(self, key: str, capability: str, now: float) -> Lane:
        upstream = self._upstream(key, now)
        lane = upstream.lanes[capability] = self._lanes_of(capability)[key] = Lane(upstream)
        return lane
