"""What of a snapshot is published: all of it, or all but the rows that validation refuses, or nothing.

Renders, validates, searches for the rows at fault, and remembers them until something changes that may mend them.
When that happens, and what is served meanwhile, is in `publisher.py`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from model_registry.entities.gateway import Gateway
from model_registry.errors import Reason
from model_registry.gateways.kind import Checker, Findings, Rendered
from model_registry.gateways.publishing.exclusions import (
    Exclusion,
    Part,
    Settings,
    changed_rows,
    exclusion,
    touched,
    without,
)
from model_registry.gateways.publishing.fault_search import MOST_CHECKS, MOST_SECONDS, FaultSearch, SearchLimit
from model_registry.gateways.publishing.published import Published, Refused, Served
from model_registry.gateways.publishing.renderer import GatewayRenderer
from model_registry.snapshot.snapshot import Snapshot

RULES = "rules"
"""What stands beside a result that no gateway's loader took part in."""

Outcome = Literal["accepted", "partial", "refused"]
Publish = Literal["partial", "strict"]


@dataclass(frozen=True, slots=True)
class _Attempt:
    """A configuration and the result of its validation."""

    rendered: Rendered
    result: Findings

    @property
    def accepted(self) -> bool:
        """Whether it is accepted."""
        return self.result.accepted and not self.rendered.reasons

    @property
    def reasons(self) -> Sequence[Reason]:
        """Why not."""
        return (*self.rendered.reasons, *self.result.reasons)

    @property
    def crashed(self) -> bool:
        """Whether validation came to no end."""
        return self.result.crashed


class Selector:
    """Selects what of each snapshot is published. For one caller at a time."""

    def __init__(self, renderer: GatewayRenderer, checker: Checker, gateway: Gateway, *, publish: Publish) -> None:
        self.renderer = renderer
        self.checker = checker
        self.gateway = gateway
        """The row, as of the snapshot asked last."""
        self._publish = publish
        self._delivery = Published()
        self._suspects = renderer.kind.make_suspects(self._accepted_settings)
        self.excluded: tuple[Exclusion, ...] = ()
        """The rows that are refused, as far as is known."""
        self._seen: Snapshot | None = None
        """The snapshot looked at last; None: what has changed since is not known."""
        self._accepted: Snapshot | None = None
        """The snapshot accepted last, with the rows that were left out of it."""

        self.unfinished = False
        """Whether the last search reached its limit, and found rows at fault: the next one begins with those."""

    @property
    def partial(self) -> bool:
        """Whether rows that are refused are left out; otherwise they hold back the whole configuration."""
        return (self.gateway.settings.get("publish") or self._publish) == "partial"

    def start(self, delivery: Published) -> None:
        """Start anew, from what was accepted before a restart or in another registry."""
        self.excluded = delivery.excluded if self.partial else ()
        self._delivery, self._seen, self._accepted = delivery, None, None

    def published(self, snapshot: Snapshot) -> Snapshot:
        """Return a snapshot without the rows that are refused, as far as is known."""
        return without(snapshot, [row.part for row in self.excluded], self._accepted_settings() or {})

    async def select(
        self, snapshot: Snapshot, delivery: Published, *, loader: bool
    ) -> tuple[Published, Outcome | None]:
        """Return what is served now, and the outcome of the validation, if one was necessary.

        Args:
            snapshot: the newest of what the gateway carries, without flapping routes.
            delivery: what is served so far.
            loader: whether the gateway's own loader is asked besides the rules.
        """
        self._delivery, self.unfinished = delivery, False
        kept, released = self._remembered(snapshot)
        rendered = await self._render(snapshot, [row.part for row in kept])
        files = rendered.files
        served, refused = delivery.served, delivery.refused
        outcome: Outcome | None = None
        name = self.validated_by(loader=loader)
        held = rendered.reasons
        is_served = served and served.files == files and served.validated_by == name
        if served and is_served and not delivery.provisional and not held:
            self.excluded = tuple(kept)
            variables = rendered.variables
            new = Published(replace(served, revision=snapshot.revision, excluded=self.excluded, variables=variables))
        elif refused and refused.files == files and not refused.crashed and refused.held == held:
            new = replace(delivery, refused=replace(refused, revision=snapshot.revision))
        else:
            new, outcome = await self._validated(snapshot, kept, released, loader=loader)
        new = replace(new, missing=rendered.missing)
        self._seen = snapshot
        if new.refused is None:
            self._accepted = snapshot
        return new, outcome

    def _accepted_settings(self) -> Settings | None:
        """The settings of the gateway itself that were accepted last; None while there are none."""
        return self._delivery.served.settings if self._delivery.served else None

    def _remembered(self, snapshot: Snapshot) -> tuple[list[Exclusion], list[Exclusion]]:
        """Return the excluded rows that are refused still, and those that a change may have mended."""
        there = [row for row in self.excluded if snapshot.tables[row.part.table].get(row.part.row_id) is not None]
        if self._seen is None:
            return [], there
        changed = list(changed_rows(self._seen, snapshot, self.renderer.kind.tables))
        mended = touched(self._seen, [row.part for row in there], changed)
        return [row for row in there if row.part not in mended], [row for row in there if row.part in mended]

    async def _render(self, snapshot: Snapshot, parts: Sequence[Part]) -> Rendered:
        def rendered() -> Rendered:
            rest = without(snapshot, parts, self._accepted_settings() or {})
            return self.renderer.of(rest, self.gateway)

        return await asyncio.to_thread(rendered)

    def validated_by(self, *, loader: bool) -> str:
        """As it stands beside a result."""
        return (self.checker.loader if loader else None) or RULES

    async def _validated(
        self, snapshot: Snapshot, kept: Sequence[Exclusion], released: Sequence[Exclusion], *, loader: bool
    ) -> tuple[Published, Outcome]:
        async def validate(parts: frozenset[Part]) -> _Attempt:
            rendered = await self._render(snapshot, sorted(parts))
            return _Attempt(rendered, await self.checker.check(rendered.files, loader=loader))

        search = FaultSearch(snapshot, self._suspects, validate)
        search.refused |= {row.part: row.reasons for row in kept}
        first = await search.attempt()
        accepted, note = (first if first.accepted else None), ""
        if accepted is None and self.partial and not first.rendered.reasons:
            accepted, note = await self._search(search, first, released)
        self.excluded = self._exclusions(search, snapshot, kept, released)
        if accepted is None:
            refused = self._refused(snapshot, first, note)
            return Published(None if self._delivery.provisional else self._delivery.served, refused), "refused"
        rest = without(snapshot, [row.part for row in self.excluded], self._accepted_settings() or {})
        by, settings = self._by(accepted), self.renderer.kind.settings_of(rest)
        served = Served(
            snapshot.revision,
            accepted.rendered.files,
            by,
            time.time(),
            tuple(accepted.result.by_rules),
            self.excluded,
            settings,
            tuple(accepted.result.warnings),
            accepted.rendered.variables,
        )
        return Published(served), "partial" if self.excluded else "accepted"

    def _refused(self, snapshot: Snapshot, first: _Attempt, note: str) -> Refused:
        """Describe what is refused as a whole; `note`: why no rows were left out of it."""
        return Refused(
            snapshot.revision,
            first.rendered.files,
            self._by(first),
            time.time(),
            (*first.reasons, *((Reason("", note),) if note else ())),
            tuple(first.result.by_rules),
            first.crashed,
            first.rendered.reasons,
        )

    async def _search(
        self, search: FaultSearch[_Attempt], first: _Attempt, released: Sequence[Exclusion]
    ) -> tuple[_Attempt | None, str]:
        """Return the accepted attempt without the rows at fault; else why there is none."""
        before = self._accepted or Snapshot.empty()
        rows = await asyncio.to_thread(lambda: list(changed_rows(before, search.snapshot, self.renderer.kind.tables)))
        changed = {(table, row.id) for table, row in rows}
        parts, known = {row.part for row in released}, set(search.refused)
        try:
            accepted = await search.run(parts, lambda part: (part.table, part.row_id) in changed)
        except SearchLimit:
            self.unfinished = search.refused.keys() != known
            return None, (
                f"the rows that cause this were not found within {MOST_CHECKS} checks or {MOST_SECONDS:.0f} s"
            )
        if accepted is None and first.crashed:
            return None, "no row that changed since the last accepted configuration causes this"
        return accepted, "" if accepted else "no rows were found without which it is accepted"

    def _exclusions(
        self,
        search: FaultSearch[_Attempt],
        snapshot: Snapshot,
        kept: Sequence[Exclusion],
        released: Sequence[Exclusion],
    ) -> tuple[Exclusion, ...]:
        """Describe what the search found. What was excluded before keeps the revision since when it is."""
        known = {row.part: row for row in kept}
        since = {row.part: row.since for row in released}
        accepted = self._accepted_settings() or {}
        return tuple(
            known.get(part) or exclusion(snapshot, part, reasons, since.get(part, snapshot.revision), accepted)
            for part, reasons in sorted(search.refused.items())
        )

    def _by(self, attempt: _Attempt) -> str:
        return self.validated_by(loader=attempt.result.by_loader)
