"""Which of the targets that can take a request gets it: round robin, weighted, least loaded, or sticky."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from math import log
from typing import Final

from model_registry.entities.model_service import Strategy
from model_registry.services.dispatch.breaker import Breaker
from model_registry.services.dispatch.capacity import Places
from model_registry.services.dispatch.health import Health
from model_registry.services.dispatch.targets import Target, TargetState

FAILURES_TO_OPEN: Final = 5
RAMP_SECONDS: Final = 10.0
_RAMP_START: Final = 0.1
_HALF_LIFE_SECONDS: Final = 5.0
"""A failure counts as one request in flight, half as much after so long: to fail fast attracts no requests."""
_MASK: Final = 2**64 - 1
_MULTIPLIER: Final = 0x9E3779B97F4A7C15
"""Spreads 64 bits upwards: 2^64 divided by the golden ratio."""
_DRAWS: Final = 2.0**52


class Upstream:
    """What is remembered of one target."""

    __slots__ = (
        "connections",
        "health",
        "lanes",
        "last_resort_at",
        "places",
        "recovered_at",
        "seed",
        "state",
        "used_at",
    )

    def __init__(self, key: str, now: float) -> None:
        self.places = Places()
        self.health = Health()
        self.connections = Breaker(1)
        """Opens at the first connection that is refused: nothing was sent, and others are tried."""
        self.lanes: dict[str, Lane] = {}
        self.last_resort_at = float("-inf")
        self.recovered_at = float("-inf")
        self.state: TargetState = "healthy"
        self.seed = _number_of(key)
        self.used_at = now
        """When a request to it, or a health check, last ended."""


class Lane:
    """What is remembered of one capability of a target: training may fail where predictions work."""

    __slots__ = (
        "_failures",
        "_failures_at",
        "breaker",
        "cooling_until",
        "key_refused",
        "last_failure",
        "picked",
        "turn",
        "upstream",
    )

    def __init__(self, upstream: Upstream) -> None:
        self.upstream = upstream
        self.breaker = Breaker(FAILURES_TO_OPEN)
        self.cooling_until = 0.0
        """When it may be asked again, by its own word; 0 if it did not say so."""
        self.last_failure = ""
        self.key_refused = False
        """Whether the last failure was that it refused our key."""
        self.turn = 0.0
        """Its credit in the rotation."""
        self.picked = 0
        """When it was last picked, as a count of picks."""
        self._failures = 0.0
        self._failures_at = 0.0

    def count_failure(self, now: float) -> None:
        """Note a failure as load."""
        self._failures = self.failure_load(now) + 1.0
        self._failures_at = now

    def failure_load(self, now: float) -> float:
        """Recent failures, as requests in flight."""
        if not self._failures:
            return 0.0
        left: float = self._failures * 0.5 ** ((now - self._failures_at) / _HALF_LIFE_SECONDS)
        if left < 0.01:  # noqa: PLR2004 (less than anything counts)
            self._failures = left = 0.0
        return left

    def ramp(self, now: float) -> float:
        """The part of its weight that it has: 0.1 at a recovery, 1 ten seconds later."""
        since = now - self.upstream.recovered_at
        return 1.0 if since >= RAMP_SECONDS else max(_RAMP_START, since / RAMP_SECONDS)


Candidate = tuple[Target, Lane]


def choose(candidates: Sequence[Candidate], strategy: Strategy, sticky: str | None, now: float) -> Candidate:
    """Choose one of the candidates, of which there is at least one."""
    if len(candidates) == 1:
        return candidates[0]
    if strategy == "sticky" and sticky is not None:
        return _stickiest(candidates, _number_of(sticky), now)
    if strategy in {"least_loaded", "sticky"}:
        return _least_loaded(candidates, now)
    return _rotate(candidates, now, weighted=strategy == "weighted")


def _rotate(candidates: Sequence[Candidate], now: float, *, weighted: bool) -> Candidate:
    """Smooth weighted round robin, as nginx has it: weights 5, 1, 1 give a a b a c a a, not a a a a a b c."""
    best, most, total = candidates[0], float("-inf"), 0.0
    for candidate in candidates:
        target, lane = candidate
        weight = lane.ramp(now)
        if weighted:
            weight *= target.weight
        total += weight
        turn = lane.turn = lane.turn + weight
        if turn > most:
            best, most = candidate, turn
    best[1].turn -= total
    return best


def _least_loaded(candidates: Sequence[Candidate], now: float) -> Candidate:
    """The least requests in flight for its weight; among equals, the one that was picked longest ago."""
    best, least, picked = candidates[0], float("inf"), candidates[0][1].picked
    for candidate in candidates:
        target, lane = candidate
        share = target.weight * lane.ramp(now)
        load = (1 + lane.upstream.places.in_flight + lane.failure_load(now)) / share if share else float("inf")
        if load < least or (load == least and lane.picked < picked):
            best, least, picked = candidate, load, lane.picked
    return best


def _stickiest(candidates: Sequence[Candidate], value: int, now: float) -> Candidate:
    """Rendezvous hashing: a value stays with its target while that is there, on all replicas alike.

    If a target goes, its values alone move, to all others in proportion to their weights.
    """
    best, most = candidates[0], 0.0
    for candidate in candidates:
        target, lane = candidate
        drawn = (lane.upstream.seed ^ value) * _MULTIPLIER & _MASK
        attraction = -target.weight * lane.ramp(now) / log(((drawn >> 12) + 0.5) / _DRAWS)
        if attraction > most:
            best, most = candidate, attraction
    return best


def _number_of(text: str) -> int:
    """64 bits of a text, the same everywhere; Python's own hash differs from process to process."""
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest())
