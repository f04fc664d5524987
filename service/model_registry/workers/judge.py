"""Only good configurations go out: each new one is checked in the background, and the newest accepted one is served.

What is checked how is in `tensorzero/project_check.py`, what goes out in `tensorzero/delivered.py`; here is when, and
what becomes of the verdict. One check at a time; while it runs, changes pile up, and only the newest is looked at next.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import structlog

from model_registry.catalog.snapshot import Snapshot
from model_registry.entities.change import Change
from model_registry.fleet.flapping import Steady
from model_registry.messaging.ending import end
from model_registry.store.registry import Registry
from model_registry.tensorzero.check_process import CheckProcess
from model_registry.tensorzero.delivered import (
    CONFIGURATION,
    Delivery,
    Files,
    Refused,
    Served,
    concerns_delivery,
    delivered,
)
from model_registry.tensorzero.project_check import Findings, check_project
from model_registry.tensorzero.render import Rendered
from model_registry.workers.accepted_file import AcceptedFile
from model_registry.workers.waiters import Waiters

log = structlog.get_logger(__name__)

DEBOUNCE_SECONDS = 0.01
"""One edit often comes as several writes; a check costs more than this."""
RULES = "rules"

_QUICK_BYTES = 100_000
"""The rules go through so much in 40 ms, which a thread may take; more is for another process."""
_RETRY_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Court:
    """Who judges, and in whose name."""

    process: CheckProcess
    gateway: str | None
    """The version of the gateway that is asked; None leaves it to the rules."""

    @property
    def name(self) -> str:
        """As it stands beside a verdict."""
        return f"gateway {self.gateway}" if self.gateway else RULES

    async def check(self, files: Files, *, gateway: bool) -> Findings:
        """The verdict on these files. Never on the event loop."""
        if not any(line and not line.startswith(b"#") for line in files[CONFIGURATION].splitlines()):
            return Findings(unasked="nothing is configured")
        if not gateway and sum(map(len, files.values())) < _QUICK_BYTES:
            return await asyncio.to_thread(check_project, files, None, configuration=(CONFIGURATION,))
        return await asyncio.to_thread(
            self.process.check, files, gateway=gateway, configuration=(CONFIGURATION,), ours=True
        )


class ConfigurationJudge:
    """One loop that brings the delivery up to date with the registry."""

    def __init__(  # noqa: PLR0913 (its parts, by name)
        self,
        registry: Registry,
        render: Callable[[Snapshot], Rendered],
        court: Court,
        file: AcceptedFile,
        *,
        steady: Callable[[Snapshot, float], Steady] = lambda snapshot, _now: Steady(snapshot),
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
        self._waiters = Waiters()
        self._task: asyncio.Task[None] | None = None
        self.delivery = Delivery()

    @property
    def court(self) -> Court:
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

    def start(self) -> None:
        """Begin judging, with what was accepted before a restart."""
        self._registry.listeners.append(self._on_step)
        if self._registry.loaded:
            snapshot = self._registry.snapshot
            self.delivery = Delivery(self._file.load(snapshot.registry_id))
            self._newest = snapshot.revision
            self._changed.set()
        self._task = asyncio.create_task(self._run(), name="configuration-judge")

    async def stop(self) -> None:
        """Stop; a check that is going on is ended."""
        self.release()
        self._wake_at(None)
        if self._task is not None:
            self._task.cancel()
            # Ends the check first, so that its thread is free.
            await asyncio.to_thread(self._court.process.close)
            await end(self._task)

    def release(self) -> None:
        """Let everybody go who waits, now and from now on: the service is about to stop."""
        self._waiters.release()

    async def until(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Wait until this is so of the delivery, for at most so many seconds."""
        return await self._waiters.until(condition, seconds)

    async def until_judged(self, seconds: float) -> bool:
        """Wait for the verdict on what is newest now."""
        newest = self._newest
        return await self.until(lambda: self._judged >= newest, seconds)

    def _on_step(self, before: Snapshot, after: Snapshot, changes: Sequence[Change]) -> None:
        if not changes:  # loaded anew: revisions may begin again, in another registry
            self._judged = -1
            if before.registry_id != after.registry_id:
                self.delivery = Delivery(self._file.load(after.registry_id))
        elif not self.pending and not concerns_delivery(before, after, changes):
            self._judged = after.revision
            self.delivery = self.delivery.still_so_at(after.revision)
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

    async def _run(self) -> None:
        while True:
            await self._changed.wait()
            await asyncio.sleep(DEBOUNCE_SECONDS)
            self._changed.clear()
            try:
                await self._look(self._registry.snapshot)
            except Exception:  # the loop must outlive a bug in it: without it no change ever goes out
                log.exception("the configuration could not be judged; trying again")
                self._changed.set()
                await asyncio.sleep(_RETRY_SECONDS)

    async def _look(self, snapshot: Snapshot) -> None:
        began, loads = time.perf_counter(), self._registry.loads
        steady = await asyncio.to_thread(self._steady, snapshot, time.time())
        self._wake_at(steady.until)
        files = delivered(await asyncio.to_thread(self._render, steady.snapshot), snapshot)
        served, refused = self.delivery.served, self.delivery.refused
        findings = None
        if served and served.files == files and served.judge == self._court.name and not self.delivery.provisional:
            new = Delivery(replace(served, revision=snapshot.revision))
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

    async def _verdict(self, files: Files, snapshot: Snapshot) -> Findings:
        """Asks the gateway; the rules decide at once where there is nothing else that could be served meanwhile."""
        by_gateway = self._court.gateway is not None
        if by_gateway and self.delivery.served is None:
            findings = await self._court.check(files, gateway=False)
            if not findings.accepted:
                return findings
            served = Served(snapshot.revision, files, RULES, time.time())
            self.delivery = Delivery(served, self.delivery.refused, provisional=True)
        return await self._court.check(files, gateway=by_gateway)

    def _decided(self, findings: Findings, files: Files, snapshot: Snapshot) -> Delivery:
        judge = self._court.name if findings.gateway else RULES
        if findings.accepted:
            return Delivery(Served(snapshot.revision, files, judge, time.time()))
        refused = Refused(snapshot.revision, files, judge, time.time(), findings.reasons)
        return Delivery(None if self.delivery.provisional else self.delivery.served, refused)

    def _become(self, new: Delivery) -> None:
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
        self._waiters.tell()
