"""Publishing: each new configuration is rendered, validated in the background, and the newest accepted one is served.

What of it is accepted is decided in `publishable.py`, what is served is in `published.py`; here is when, and what
follows from the result. One validation at a time; changes that arrive meanwhile are validated together, as the newest
configuration.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import structlog

from model_registry.entities.change import Change
from model_registry.gateways.publishing.exclusions import Exclusion
from model_registry.gateways.publishing.publishable import Outcome, Renderer, Selector
from model_registry.gateways.publishing.published import AcceptedFile, Published, concerns_published
from model_registry.snapshot.snapshot import Snapshot
from model_registry.store.registry import Registry
from model_registry.store.signal import Signal

log = structlog.get_logger(__name__)

DEBOUNCE_SECONDS = 0.01
"""One edit often comes as several writes; a check costs more than this."""

CRASHED_AGAIN_SECONDS = 60.0
"""A check that crashed or timed out is tried again after this: an overloaded machine recovers without a change."""


class ConfigPublisher:
    """One loop that brings the delivery up to date with the registry."""

    def __init__(
        self,
        registry: Registry,
        renderer: Renderer,
        selector: Selector,
        file: AcceptedFile,
        on_result: Callable[[str, float], None],
    ) -> None:
        self._registry = registry
        self._renderer = renderer
        self._selector = selector
        self.validator = selector.validator
        self.partial = selector.partial
        """Whether rows that validation refuses are left out; otherwise they hold back the whole configuration."""
        self._file = file
        self._on_result = on_result
        self.newest = self._validated = -1
        """The newest revision, and the newest that is validated."""
        self._changed = asyncio.Event()
        self._alarm: asyncio.TimerHandle | None = None
        self._delivered = Signal[[]]()
        self.delivery = Published()

    @property
    def pending(self) -> bool:
        """Whether there is a revision that is not validated yet."""
        return self._validated < self.newest

    def follow(self) -> None:
        """Follow the registry from now on. What was accepted before a restart is served until the next result."""
        self._registry.stepped.observe(self._on_step)
        if self._registry.loaded:
            snapshot = self._registry.snapshot
            self._begin(snapshot.registry_id)
            self.newest = snapshot.revision

    def _begin(self, registry_id: str) -> None:
        self.delivery = Published(self._file.load(registry_id))
        self._selector.start(self.delivery)

    async def close(self) -> None:
        """End the check that is going on, so that its thread is free."""
        self.release()
        self._wake_at(None)
        await asyncio.to_thread(self.validator.process.close)

    def release(self) -> None:
        """Let every waiter go, now and from now on: the service is about to stop."""
        self._delivered.release()

    async def until(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Wait until the condition holds of the delivery, for at most `seconds`."""
        return await self._delivered.until(condition, seconds)

    async def until_validated(self, seconds: float) -> bool:
        """Wait until what is newest now is validated."""
        newest = self.newest
        return await self.until(lambda: self._validated >= newest, seconds)

    def _on_step(self, before: Snapshot, after: Snapshot, changes: Sequence[Change]) -> None:
        if not changes:  # loaded anew: revisions may begin again, in another registry
            self._validated = -1
            if before.registry_id != after.registry_id:
                self._begin(after.registry_id)
        elif not self.pending and not concerns_published(before, after, changes):
            self._validated = after.revision
            self.delivery = self.delivery.at_revision(after.revision)
        self.newest = after.revision
        if self.pending:
            self._changed.set()

    @property
    def excluded(self) -> tuple[Exclusion, ...]:
        """The rows that validation refuses, as far as is known."""
        return self._selector.excluded

    def published(self, snapshot: Snapshot) -> Snapshot:
        """Return a snapshot without the rows that validation refuses, as far as is known."""
        return self._selector.published(snapshot)

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
        damped = await asyncio.to_thread(self._renderer.damped, snapshot, time.time())
        self._wake_at(damped.until)
        new, outcome = await self._selected(damped.snapshot)
        if self._registry.loads != loads:
            # The database was exchanged meanwhile, or went back to a backup: the result is about what may be no more.
            self._selector.start(self.delivery)
            self._changed.set()
            return
        self._validated = max(self._validated, snapshot.revision)
        self._become(new)
        if new.refused is not None and new.refused.crashed:
            again = time.time() + CRASHED_AGAIN_SECONDS
            self._wake_at(min(again, damped.until or again))
        if self._selector.unfinished:
            self._changed.set()
        if outcome is not None:
            self._on_result(outcome, time.perf_counter() - began)
            if new.served is not None and outcome != "refused":
                await asyncio.to_thread(self._file.save, new.served, snapshot.registry_id)

    async def _selected(self, snapshot: Snapshot) -> tuple[Published, Outcome | None]:
        """Asks the gateway; the rules decide at once where there is nothing else that could be served meanwhile."""
        by_gateway = self.validator.gateway is not None
        if by_gateway and self.delivery.served is None:
            new, outcome = await self._selector.select(snapshot, self.delivery, gateway=False)
            if new.served is None:
                return new, outcome
            self.delivery = replace(new, refused=self.delivery.refused, provisional=True)
        return await self._selector.select(snapshot, self.delivery, gateway=by_gateway)

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
        if new.excluded and new.excluded != before.excluded:
            log.warning(
                "rows are left out of the configuration, because validation refuses them",
                revision=new.served.revision if new.served else None,
                rows=[f"{row.kind} {row.name}: {row.reason}" for row in new.excluded[:10]],
                number=len(new.excluded),
            )
        elif before.excluded and not new.excluded:
            log.info("no row is left out of the configuration any more")
        known = before.served.warnings if before.served else ()
        if new.served and new.served.warnings not in ((), known):
            warnings = [str(warning) for warning in new.served.warnings[:10]]
            log.warning("configuration accepted with warnings", revision=new.served.revision, warnings=warnings)
        self._delivered.send()
