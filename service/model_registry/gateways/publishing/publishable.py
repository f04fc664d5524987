"""What of a snapshot is published: all of it, or all but the rows that validation refuses, or nothing.

Renders, validates, searches for the rows at fault, and remembers them until something changes that may mend them.
When that happens, and what is served meanwhile, is in `publisher.py`.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from model_registry.entities.change import Change
from model_registry.errors import Reason
from model_registry.file_paths import CONFIG_FILE
from model_registry.fleet.flap_damping import DampedSnapshot, damp
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
from model_registry.gateways.publishing.published import PUBLISHED_TABLES, Files, Published, Refused, Served
from model_registry.gateways.tensorzero.rendering.bundle import bundle
from model_registry.gateways.tensorzero.rendering.render import FLEET_TABLES, RenderCache, Rendered, render
from model_registry.gateways.tensorzero.suspects import TensorZeroSuspects, settings_of
from model_registry.gateways.tensorzero.validation.validate import ValidationResult, check_project
from model_registry.gateways.tensorzero.validation.validator_process import ValidatorProcess
from model_registry.snapshot.snapshot import Snapshot
from model_registry.store.registry import Registry

RULES = "rules"

_QUICK_BYTES = 100_000
"""The rules go through so much in 40 ms, which a thread may take; more is for another process."""


_TABLES = PUBLISHED_TABLES | FLEET_TABLES


class Renderer:
    """Keeps the last rendering, and the fragments that make the next one cheap."""

    def __init__(self, registry: Registry, hold_seconds: float) -> None:
        self._hold_seconds = hold_seconds
        self._cache = RenderCache()
        self._lock = threading.Lock()
        self._warming: asyncio.Task[Rendered] | None = None
        registry.stepped.observe(self._on_step)

    def damped(self, snapshot: Snapshot, now: float) -> DampedSnapshot:
        """What of this snapshot a configuration is to be made of at this time (epoch seconds)."""
        return damp(snapshot, now, self._hold_seconds)

    def of(self, snapshot: Snapshot) -> Rendered:
        """The configuration of this snapshot. The lock: a full load is rendered off the event loop."""
        with self._lock:
            return render(snapshot, self._cache)

    def _on_step(self, _before: Snapshot, after: Snapshot, changes: Sequence[Change]) -> None:
        # 10,000 models take about a second at first: not on the event loop, and before anyone asks.
        if not changes:
            self._warming = asyncio.create_task(asyncio.to_thread(self.of, after), name="first rendering")


@dataclass(frozen=True, slots=True)
class Validator:
    """Validates configurations: by the rules, and by the gateway where there is one."""

    process: ValidatorProcess
    gateway: str | None
    """Version of the gateway that is asked; None leaves it to the rules."""

    @property
    def name(self) -> str:
        """As it stands beside a result."""
        return f"gateway {self.gateway}" if self.gateway else RULES

    async def check(self, files: Files, *, gateway: bool) -> ValidationResult:
        """Validate these files. Never on the event loop."""
        if not any(line and not line.startswith(b"#") for line in files[CONFIG_FILE].splitlines()):
            return ValidationResult(unasked="nothing is configured")
        if not gateway and sum(map(len, files.values())) < _QUICK_BYTES:
            return await asyncio.to_thread(check_project, files, None, configuration=(CONFIG_FILE,))
        return await asyncio.to_thread(
            self.process.check, files, gateway=gateway, configuration=(CONFIG_FILE,), ours=True
        )


Outcome = Literal["accepted", "partial", "refused"]


@dataclass(frozen=True, slots=True)
class _Attempt:
    """A configuration and the result of its validation."""

    files: Files
    result: ValidationResult

    @property
    def accepted(self) -> bool:
        """Whether it is accepted."""
        return self.result.accepted

    @property
    def reasons(self) -> Sequence[Reason]:
        """Why not."""
        return self.result.reasons

    @property
    def by_rules(self) -> tuple[str, ...]:
        """Keys of the parts that only the rules checked."""
        return self.result.gateway.by_rules if self.result.gateway else ()

    @property
    def crashed(self) -> bool:
        """Whether validation came to no end."""
        return self.result.crashed


class Selector:
    """Selects what of each snapshot is published. For one caller at a time."""

    def __init__(self, renderer: Renderer, validator: Validator, *, partial: bool) -> None:
        self._renderer = renderer
        self.validator = validator
        self.partial = partial
        """Whether rows that are refused are left out; otherwise they hold back the whole configuration."""
        self._delivery = Published()
        self._suspects = TensorZeroSuspects(self._accepted_settings)
        self.excluded: tuple[Exclusion, ...] = ()
        """The rows that are refused, as far as is known."""
        self._seen: Snapshot | None = None
        """The snapshot looked at last; None: what has changed since is not known."""
        self._accepted: Snapshot | None = None
        """The snapshot accepted last, with the rows that were left out of it."""

        self.unfinished = False
        """Whether the last search reached its limit, and found rows at fault: the next one begins with those."""

    def start(self, delivery: Published) -> None:
        """Start anew, from what was accepted before a restart or in another registry."""
        self.excluded = delivery.excluded if self.partial else ()
        self._delivery, self._seen, self._accepted = delivery, None, None

    def published(self, snapshot: Snapshot) -> Snapshot:
        """Return a snapshot without the rows that are refused, as far as is known."""
        return without(snapshot, [row.part for row in self.excluded], self._accepted_settings() or {})

    async def select(
        self, snapshot: Snapshot, delivery: Published, *, gateway: bool
    ) -> tuple[Published, Outcome | None]:
        """Return what is served now, and the outcome of the validation, if one was necessary.

        Args:
            snapshot: the newest one, without flapping routes.
            delivery: what is served so far.
            gateway: whether the gateway is asked besides the rules.
        """
        self._delivery, self.unfinished = delivery, False
        kept, released = self._remembered(snapshot)
        files = await self._files(snapshot, [row.part for row in kept])
        served, refused = delivery.served, delivery.refused
        outcome: Outcome | None = None
        name = self.validator.name if gateway else RULES
        if served and not delivery.provisional and served.files == files and served.validated_by == name:
            self.excluded = tuple(kept)
            new = Published(replace(served, revision=snapshot.revision, excluded=self.excluded))
        elif refused and refused.files == files and not refused.crashed:
            new = replace(delivery, refused=replace(refused, revision=snapshot.revision))
        else:
            new, outcome = await self._validated(snapshot, kept, released, gateway=gateway)
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
        changed = list(changed_rows(self._seen, snapshot, _TABLES))
        mended = touched(self._seen, [row.part for row in there], changed)
        return [row for row in there if row.part not in mended], [row for row in there if row.part in mended]

    async def _files(self, snapshot: Snapshot, parts: Sequence[Part]) -> Files:
        return await asyncio.to_thread(self._rendered, snapshot, parts)

    def _rendered(self, snapshot: Snapshot, parts: Sequence[Part]) -> Files:
        rest = without(snapshot, parts, self._accepted_settings() or {})
        return bundle(rest, self._renderer.of(rest))

    async def _validated(
        self, snapshot: Snapshot, kept: Sequence[Exclusion], released: Sequence[Exclusion], *, gateway: bool
    ) -> tuple[Published, Outcome]:
        async def validate(parts: frozenset[Part]) -> _Attempt:
            files = await self._files(snapshot, sorted(parts))
            return _Attempt(files, await self.validator.check(files, gateway=gateway))

        search = FaultSearch(snapshot, self._suspects, validate)
        search.refused |= {row.part: row.reasons for row in kept}
        first = await search.attempt()
        accepted, note = (first if first.accepted else None), ""
        if accepted is None and self.partial:
            accepted, note = await self._search(search, first, released)
        self.excluded = self._exclusions(search, snapshot, kept, released)
        if accepted is None:
            reasons = (*first.reasons, *((Reason("", note),) if note else ()))
            by, by_rules = self._by(first), first.by_rules
            refused = Refused(snapshot.revision, first.files, by, time.time(), tuple(reasons), by_rules, first.crashed)
            return Published(None if self._delivery.provisional else self._delivery.served, refused), "refused"
        rest = without(snapshot, [row.part for row in self.excluded], self._accepted_settings() or {})
        by, settings = self._by(accepted), settings_of(rest)
        at, by_rules = time.time(), accepted.by_rules
        warnings = accepted.result.warnings
        served = Served(snapshot.revision, accepted.files, by, at, by_rules, self.excluded, settings, warnings)
        return Published(served), "partial" if self.excluded else "accepted"

    async def _search(
        self, search: FaultSearch[_Attempt], first: _Attempt, released: Sequence[Exclusion]
    ) -> tuple[_Attempt | None, str]:
        """Return the accepted attempt without the rows at fault; else why there is none."""
        before = self._accepted or Snapshot.empty()
        rows = await asyncio.to_thread(lambda: list(changed_rows(before, search.snapshot, _TABLES)))
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
        return self.validator.name if attempt.result.gateway else RULES
