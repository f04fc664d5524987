"""Publishing: each new configuration is validated in the background, and the newest accepted one is served.

How it is validated is in `gateways/tensorzero/validation/validate.py`, what is served in `published.py`; here is when,
and what follows from the result. One validation at a time; changes that arrive meanwhile are validated together, as
the newest configuration.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import structlog

from model_registry.entities.change import Change
from model_registry.fleet.flap_damping import DampedSnapshot
from model_registry.gateways.publishing.accepted_file import AcceptedFile
from model_registry.gateways.publishing.published import (
    CONFIGURATION,
    Files,
    Published,
    Refused,
    Served,
    concerns_published,
    published_files,
)
from model_registry.gateways.tensorzero.rendering.render import Rendered
from model_registry.gateways.tensorzero.validation.validate import ValidationResult, check_project
from model_registry.gateways.tensorzero.validation.validator_process import ValidatorProcess
from model_registry.snapshot.snapshot import Snapshot
from model_registry.store.registry import Registry
from model_registry.store.signal import Signal

log = structlog.get_logger(__name__)

DEBOUNCE_SECONDS = 0.01
"""One edit often comes as several writes; a check costs more than this."""
RULES = "rules"

_QUICK_BYTES = 100_000
"""The rules go through so much in 40 ms, which a thread may take; more is for another process."""


@dataclass(frozen=True, slots=True)
class Validator:
    """Who judges, and in whose name."""

    process: ValidatorProcess
    gateway: str | None
    """The version of the gateway that is asked; None leaves it to the rules."""

    @property
    def name(self) -> str:
        """As it stands beside a verdict."""
        return f"gateway {self.gateway}" if self.gateway else RULES

    async def check(self, files: Files, *, gateway: bool) -> ValidationResult:
        """The verdict on these files. Never on the event loop."""
        if not any(line and not line.startswith(b"#") for line in files[CONFIGURATION].splitlines()):
            return ValidationResult(unasked="nothing is configured")
        if not gateway and sum(map(len, files.values())) < _QUICK_BYTES:
            return await asyncio.to_thread(check_project, files, None, configuration=(CONFIGURATION,))
        return await asyncio.to_thread(
            self.process.check, files, gateway=gateway, configuration=(CONFIGURATION,), ours=True
        )


class ConfigPublisher:
    """One loop that brings the delivery up to date with the registry."""

    def __init__(  # noqa: PLR0913 (its parts, by name)
        self,
        registry: Registry,
        render: Callable[[Snapshot], Rendered],
        court: Validator,
        file: AcceptedFile,
        *,
        steady: Callable[[Snapshot, float], DampedSnapshot] = lambda snapshot, _now: DampedSnapshot(snapshot),
        on_verdict: Callable[[str, float], None] = lambda _outcome, _seconds: None,
    ) -> None:
        self._registry = registry
        self._render = render
        self._court = court
        self._file = file
        self._steady = steady
        self._on_verdict = on_verdict
        self._newest = self._judged = -1
        self._changed = asyncio.Event()
        self._alarm: asyncio.TimerHandle | None = None
        self._delivered = Signal[[]]()
        self.delivery = Published()

    @property
    def court(self) -> Validator:
        """Who judges here."""
        return self._court

    @property
    def pending(self) -> bool:
        """Whether there is a revision without a verdict."""
        return self._judged < self._newest

    @property
    def newest(self) -> int:
        """The newest revision, with or without a verdict."""
        return self._newest

    def follow(self) -> None:
        """Follow the registry from now on. What was accepted before a restart is served until the next verdict."""
        self._registry.stepped.observe(self._on_step)
        if self._registry.loaded:
            snapshot = self._registry.snapshot
            self.delivery = Published(self._file.load(snapshot.registry_id))
            self._newest = snapshot.revision

    async def close(self) -> None:
        """End the check that is going on, so that its thread is free."""
        self.release()
        self._wake_at(None)
        await asyncio.to_thread(self._court.process.close)

    def release(self) -> None:
        """Let every waiter go, now and from now on: the service is about to stop."""
        self._delivered.release()

    async def until(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Wait until this is so of the delivery, for at most so many seconds."""
        return await self._delivered.until(condition, seconds)

    async def until_judged(self, seconds: float) -> bool:
        """Wait for the verdict on what is newest now."""
        newest = self._newest
        return await self.until(lambda: self._judged >= newest, seconds)

    def _on_step(self, before: Snapshot, after: Snapshot, changes: Sequence[Change]) -> None:
        if not changes:  # loaded anew: revisions may begin again, in another registry
            self._judged = -1
            if before.registry_id != after.registry_id:
                self.delivery = Published(self._file.load(after.registry_id))
        elif not self.pending and not concerns_published(before, after, changes):
            self._judged = after.revision
            self.delivery = self.delivery.at_revision(after.revision)
        self._newest = after.revision
        if self.pending:
            self._changed.set()

    def _wake_at(self, when: float | None) -> None:
        """Look again at this time (epoch seconds): a route comes back then, and nothing else may happen."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if when is not None:
            self._alarm = asyncio.get_running_loop().call_later(max(0.0, when - time.time()), self._changed.set)

    async def run(self) -> None:
        """Validate what is newest, now and after every change."""
        if self._registry.loaded:
            self._changed.set()
        while True:
            await self._changed.wait()
            await asyncio.sleep(DEBOUNCE_SECONDS)
            self._changed.clear()
            await self._look(self._registry.snapshot)

    async def _look(self, snapshot: Snapshot) -> None:
        began, loads = time.perf_counter(), self._registry.loads
        steady = await asyncio.to_thread(self._steady, snapshot, time.time())
        self._wake_at(steady.until)
        files = published_files(await asyncio.to_thread(self._render, steady.snapshot), snapshot)
        served, refused = self.delivery.served, self.delivery.refused
        findings = None
        if served and served.files == files and served.judge == self._court.name and not self.delivery.provisional:
            new = Published(replace(served, revision=snapshot.revision))
        elif refused and refused.files == files:
            new = replace(self.delivery, refused=replace(refused, revision=snapshot.revision))
        else:
            findings = await self._verdict(files, snapshot)
            new = self._decided(findings, files, snapshot)
        if self._registry.loads != loads:
            # The database was exchanged meanwhile, or went back to a backup: a verdict on what may be no more.
            self._changed.set()
            return
        self._judged = max(self._judged, snapshot.revision)
        self._become(new)
        if findings is not None:
            self._on_verdict("accepted" if findings.accepted else "refused", time.perf_counter() - began)
            if new.served is not None and findings.accepted:
                await asyncio.to_thread(self._file.save, new.served, snapshot.registry_id)

    async def _verdict(self, files: Files, snapshot: Snapshot) -> ValidationResult:
        """Asks the gateway; the rules decide at once where there is nothing else that could be served meanwhile."""
        by_gateway = self._court.gateway is not None
        if by_gateway and self.delivery.served is None:
            findings = await self._court.check(files, gateway=False)
            if not findings.accepted:
                return findings
            served = Served(snapshot.revision, files, RULES, time.time())
            self.delivery = Published(served, self.delivery.refused, provisional=True)
        return await self._court.check(files, gateway=by_gateway)

    def _decided(self, findings: ValidationResult, files: Files, snapshot: Snapshot) -> Published:
        judge = self._court.name if findings.gateway else RULES
        if findings.accepted:
            return Published(Served(snapshot.revision, files, judge, time.time()))
        refused = Refused(snapshot.revision, files, judge, time.time(), findings.reasons)
        return Published(None if self.delivery.provisional else self.delivery.served, refused)

    def _become(self, new: Published) -> None:
        before, self.delivery = self.delivery, new
        if new.refused and (before.refused is None or before.refused.files != new.refused.files):
            log.warning(
                "configuration refused; the last accepted one stays out",
                revision=new.refused.revision,
                serving=new.served.revision if new.served else None,
                reasons=[str(reason) for reason in new.refused.reasons[:10]],
            )
        elif before.refused and not new.refused:
            log.info("configuration accepted again", revision=new.served.revision if new.served else None)
        self._delivered.send()
