"""Finds the smallest set of rows without which validation accepts a configuration. The same for all gateways.

First by what the reasons name, then among what changed since the last accepted configuration, then among all rows.
How a configuration is rendered and validated, and which rows a reason names, are arguments.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from model_registry.errors import Reason
from model_registry.gateways.publishing.exclusions import Part
from model_registry.snapshot.snapshot import Snapshot

MOST_CHECKS = 200
"""Checks of one search. With a hundred models a check takes 20 ms, with 10,000 models two seconds."""
MOST_SECONDS = 120.0
"""Of one search. Meanwhile the last accepted configuration is served."""
MANY = 8
"""From this number of refused rows of one owner on, such as models of a provider, the owner is left out."""


class Attempt(Protocol):
    """A configuration that was validated."""

    @property
    def accepted(self) -> bool:
        """Whether validation accepts it."""

    @property
    def reasons(self) -> Sequence[Reason]:
        """Why not."""

    @property
    def crashed(self) -> bool:
        """Whether validation came to no end: the machine may be to blame, and not the rows."""


A = TypeVar("A", bound=Attempt)


@dataclass(frozen=True, slots=True)
class Named:
    """A part that a reason for a refusal points to."""

    part: Part
    reason: Reason
    certain: bool
    """Whether the reason names the part itself; otherwise the part only mentions what the reason quotes."""


class Suspects(Protocol):
    """What a gateway kind knows of its rows."""

    def parts(self, snapshot: Snapshot) -> Sequence[Part]:
        """Return everything that can be left out; what others need comes before them."""

    def named(self, snapshot: Snapshot, reasons: Iterable[Reason]) -> Sequence[Named]:
        """Return the parts that these reasons point to."""

    def owner(self, snapshot: Snapshot, part: Part) -> Part | None:
        """Return the row whose mistake this part shares, if many of its parts are refused."""


class SearchLimit(Exception):
    """The search has used its checks or its time."""


@dataclass(slots=True)
class FaultSearch(Generic[A]):
    """One search, in one snapshot."""

    snapshot: Snapshot
    suspects: Suspects
    validate: Callable[[frozenset[Part]], Awaitable[A]]
    """Renders and validates the snapshot without these parts."""
    most_checks: int = MOST_CHECKS
    most_seconds: float = MOST_SECONDS
    refused: dict[Part, tuple[Reason, ...]] = field(default_factory=dict)
    """The parts found so far, each with the reasons for which it was refused."""
    checks: int = 0
    _parts: Sequence[Part] = ()
    _may_crash: bool = False
    """Whether validation crashes with all rows: only then it may be a row's fault when it does."""
    _known: dict[frozenset[Part], A] = field(default_factory=dict)
    _began: float = field(default_factory=time.monotonic)

    async def attempt(self, more: Iterable[Part] = ()) -> A:
        """Validate without the parts found so far and these. Errors: SearchLimit."""
        parts = frozenset((*self.refused, *more))
        if parts not in self._known:
            self._known[parts] = await self._checked(parts)
        return self._known[parts]

    async def _checked(self, parts: frozenset[Part]) -> A:
        if self.checks >= self.most_checks or time.monotonic() - self._began > self.most_seconds:
            raise SearchLimit
        self.checks += 1
        return await self.validate(parts)

    async def run(self, released: Collection[Part], changed: Callable[[Part], bool]) -> A | None:
        """Return the accepted attempt without the parts in `refused`; None when no set of parts is to blame.

        Args:
            released: parts that were refused before, and may have been mended.
            changed: whether a part changed since the last accepted configuration.

        Errors: SearchLimit; what was found until then is in `refused`.
        """
        attempt = await self.attempt()
        if attempt.accepted:
            return attempt
        if attempt.crashed:
            self._may_crash = True
            return await self._crashed(released, changed)
        parts = self._parts = await asyncio.to_thread(self.suspects.parts, self.snapshot)
        suspected = [part for part in parts if part in released]
        if suspected and (accepted := await self._among(suspected, few=False)):
            return accepted
        likely: set[Part] = set()
        if accepted := await self._named(attempt, likely):
            return accepted
        recent = [part for part in parts if part not in self.refused and (part in likely or changed(part))]
        if recent and len(recent) < len(parts) and (accepted := await self._among(recent, few=True)):
            return accepted
        return await self._among([part for part in parts if part not in self.refused], few=True)

    async def _crashed(self, released: Collection[Part], changed: Callable[[Part], bool]) -> A | None:
        """Search where validation came to no end: among recent changes only, and not without trying all of it again.

        An overloaded machine takes too long for a large configuration, and not for half of it: no row is to blame.
        """
        before = dict(self.refused)
        parts = self._parts = await asyncio.to_thread(self.suspects.parts, self.snapshot)
        rest = [part for part in parts if part not in self.refused]
        recent = [part for part in rest if part in released or changed(part)]
        if len(recent) == len(rest):  # nothing was accepted yet, or it is not known what
            recent = [part for part in rest if part in released]
        accepted = await self._among(recent, few=True) if recent else None
        again = await self._checked(frozenset(before))
        if again.accepted:
            self.refused = before
            return again
        return accepted

    async def _named(self, attempt: A, likely: set[Part]) -> A | None:
        """Leave out what the reasons name, until nothing is refused. Collects in `likely` what is not certain."""
        while not attempt.accepted:
            pointed_at = await asyncio.to_thread(self.suspects.named, self.snapshot, attempt.reasons)
            named = [found for found in pointed_at if found.part not in {*likely, *self.refused}]
            certain = [found for found in named if found.certain]
            if not named:
                return None
            for found in certain:
                self._blame(found.part, (found.reason,))
            if not certain:
                likely.update(found.part for found in named)
            attempt = await self.attempt(likely)
        if not likely:
            return attempt
        return await self._among([part for part in self._parts if part in likely], few=False)

    async def _among(self, candidates: Sequence[Part], *, few: bool) -> A | None:
        """Put the candidates back one after the other, and note those that are refused; None when others are to blame.

        Args:
            candidates: in their order; all are left out at first.
            few: whether few of them are expected to be refused; then many are put back at once.
        """
        accepted = await self.attempt(candidates)
        if not accepted.accepted:
            return None
        rest = list(candidates)
        step = len(rest) if few else 1
        while rest:
            step = min(step, len(rest))
            attempt = await self.attempt(rest[step:])
            if attempt.accepted:
                accepted, rest, step = attempt, rest[step:], 2 * step
            elif step > 1:
                step //= 2
            else:
                if attempt.crashed and not self._may_crash:
                    raise SearchLimit  # the first attempt did not
                owner = self._blame(rest[0], attempt.reasons)
                rest = [part for part in rest[1:] if owner is None or self._owner(part) != owner]
                step = len(rest) if few else 1
                if owner is not None:
                    accepted = await self.attempt(rest)
        return accepted if accepted.accepted else None

    def _blame(self, part: Part, reasons: Iterable[Reason]) -> Part | None:
        """Note a refused part; the owner instead, which is returned, when it has many of them."""
        owner = self._owner(part)
        if owner in self.refused:
            return owner
        self.refused.setdefault(part, tuple(reasons))
        if owner is None:
            return None
        owned = [other for other in self.refused if self._owner(other) == owner]
        if len(owned) < MANY:
            return None
        first = "; ".join(map(str, self.refused[owned[0]]))
        for other in owned:
            del self.refused[other]
        self.refused[owner] = (Reason("", f"{len(owned)} of its rows are refused, the first with: {first}"),)
        return owner

    def _owner(self, part: Part) -> Part | None:
        return self.suspects.owner(self.snapshot, part)
