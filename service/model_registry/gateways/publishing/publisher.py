"""Publishing for one gateway: each new configuration is rendered, validated, and served if it is accepted.

What of it is accepted is decided in `publishable.py`, what is served is in `published.py`; here is when, and what
follows from the result. One validation at a time; changes that arrive meanwhile are validated together, as the newest
configuration. All gateways: `publishers.py`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import structlog

from model_registry.entities.change import Change
from model_registry.entities.gateway import Gateway
from model_registry.errors import RegistryError
from model_registry.fleet.flap_damping import DampedSnapshot
from model_registry.gateways.kind import Rendered
from model_registry.gateways.publishing.exclusions import Exclusion
from model_registry.gateways.publishing.pins import Pins
from model_registry.gateways.publishing.publishable import Outcome, Selector
from model_registry.gateways.publishing.published import AcceptedFile, Published
from model_registry.gateways.publishing.renderer import GatewayRenderer
from model_registry.snapshot.snapshot import Snapshot
from model_registry.snapshot.through_gateways import any_through
from model_registry.store.registry import Registry
from model_registry.store.signal import Signal

log = structlog.get_logger(__name__)

DEBOUNCE_SECONDS = 0.01
"""One edit often comes as several writes; a check costs more than this."""

CRASHED_AGAIN_SECONDS = 60.0
"""A check that crashed or timed out is tried again after this: an overloaded machine recovers without a change."""

PIN_AGAIN_SECONDS = 5.0
"""The catalogue of a pinned revision is asked for again after this, when the database did not answer."""


class ConfigPublisher:
    """One loop that brings the delivery of one gateway up to date with the registry."""

    def __init__(
        self,
        registry: Registry,
        selector: Selector,
        pins: Pins,
        file: AcceptedFile,
        on_result: Callable[[str, float], None],
    ) -> None:
        self._registry = registry
        self._selector = selector
        self._pins = pins
        self.name = selector.gateway.name
        self._file = file
        self._on_result = on_result
        self.newest = self._validated = -1
        """The newest revision, and the newest that is validated."""
        self.pin_error: str | None = None
        """Why the catalogue of the pinned revision cannot be had: what was served before is served on."""
        self._changed = asyncio.Event()
        self._alarm: asyncio.TimerHandle | None = None
        self._delivered = Signal[[]]()
        self.delivery = Published()

    @property
    def renderer(self) -> GatewayRenderer:
        """Renders for this gateway."""
        return self._selector.renderer

    @property
    def loader(self) -> str | None:
        """The gateway's own loader that is asked, with its version; None leaves it to the rules."""
        return self._selector.checker.loader

    @property
    def validated_by(self) -> str:
        """What validates."""
        return self._selector.validated_by(loader=True)

    @property
    def partial(self) -> bool:
        """Whether rows that validation refuses are left out; otherwise they hold back the whole configuration."""
        return self._selector.partial

    @property
    def pending(self) -> bool:
        """Whether there is a revision that is not validated yet."""
        return self._validated < self.newest

    @property
    def pinned(self) -> bool:
        """Whether it was pinned to a revision when it was looked at last."""
        return self._selector.gateway.pinned_revision is not None

    def gateway(self, snapshot: Snapshot) -> Gateway:
        """Return the gateway's row; the one that it had last when it is being deleted."""
        rows = snapshot.gateways.where("name", self.name)
        return rows[0] if rows else self._selector.gateway

    def damped(self, snapshot: Snapshot, now: float) -> DampedSnapshot:
        """What of this snapshot the gateway carries at this time (epoch seconds), without routes that come and go."""
        return self.renderer.damped(snapshot, self.gateway(snapshot), now)

    def rendered(self, snapshot: Snapshot) -> Rendered:
        """The configuration of what `damped` returned. Not on the event loop: a full load takes about a second."""
        return self.renderer.of(snapshot, self.gateway(snapshot))

    def follow(self) -> None:
        """Follow the registry from now on. What was accepted before a restart is served until the next result."""
        self._registry.stepped.observe(self._on_step)
        if self._registry.loaded:
            snapshot = self._registry.snapshot
            self._begin(snapshot.registry_id)
            self.newest = snapshot.revision
            self._changed.set()

    def _begin(self, registry_id: str) -> None:
        self.delivery = Published(self._file.load(registry_id))
        self._selector.start(self.delivery)

    async def close(self) -> None:
        """End the check that is going on, so that its thread is free."""
        self._registry.stepped.forget(self._on_step)
        self.release()
        self._wake_at(None)
        await asyncio.to_thread(self._selector.checker.close)

    def delete(self) -> None:
        """Delete what is kept on disk: the gateway is no more."""
        self._file.delete()

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
        elif not self.pending and not self._concerns(before, after, changes):
            self._validated = after.revision
            if self.gateway(after).pinned_revision is None:
                self.delivery = self.delivery.at_revision(after.revision)
        self.newest = after.revision
        if self.pending:
            self._changed.set()

    def _concerns(self, before: Snapshot, after: Snapshot, changes: Sequence[Change]) -> bool:
        if before.gateways is not after.gateways and (
            self.gateway(before) != self.gateway(after) or any_through(after)
        ):
            return True
        return self.renderer.kind.concerns(before, after, changes)

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
        gateway = self._selector.gateway = self.gateway(snapshot)
        catalogue = await self._catalogue(snapshot, gateway)
        if catalogue is None:
            self._validated = max(self._validated, snapshot.revision)
            self._wake_at(time.time() + PIN_AGAIN_SECONDS)
            self._delivered.send()
            return
        damped = await asyncio.to_thread(self.renderer.damped, catalogue, gateway, time.time())
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

    async def _catalogue(self, snapshot: Snapshot, gateway: Gateway) -> Snapshot | None:
        """Return the snapshot that the gateway follows: the newest, or the pinned one with the fleet of now.

        None when the pinned one cannot be had; `pin_error` says why.
        """
        try:
            catalogue = await self._pins.catalogue(snapshot, gateway)
        except RegistryError as error:
            self.pin_error = str(error)
            log.warning(
                "the pinned revision cannot be read; what was served is served on", gateway=self.name, error=str(error)
            )
            return None
        self.pin_error = None
        return catalogue

    async def _selected(self, snapshot: Snapshot) -> tuple[Published, Outcome | None]:
        """Asks the gateway; the rules decide at once where there is nothing else that could be served meanwhile."""
        by_loader = self.loader is not None
        if by_loader and self.delivery.served is None:
            new, outcome = await self._selector.select(snapshot, self.delivery, loader=False)
            if new.served is None:
                return new, outcome
            self.delivery = replace(new, refused=self.delivery.refused, provisional=True)
        return await self._selector.select(snapshot, self.delivery, loader=by_loader)

    def _become(self, new: Published) -> None:
        before, self.delivery = self.delivery, new
        if new.refused and (before.refused is None or before.refused.files != new.refused.files):
            log.warning(
                "configuration refused; the last accepted one stays out",
                gateway=self.name,
                revision=new.refused.revision,
                serving=new.served.revision if new.served else None,
                reasons=[str(reason) for reason in new.refused.reasons[:10]],
            )
        elif before.refused and not new.refused:
            log.info(
                "configuration accepted again", gateway=self.name, revision=new.served.revision if new.served else None
            )
        if new.excluded and new.excluded != before.excluded:
            log.warning(
                "rows are left out of the configuration, because validation refuses them",
                gateway=self.name,
                revision=new.served.revision if new.served else None,
                rows=[f"{row.kind} {row.name}: {row.reason}" for row in new.excluded[:10]],
                number=len(new.excluded),
            )
        elif before.excluded and not new.excluded:
            log.info("no row is left out of the configuration any more", gateway=self.name)
        known = before.served.warnings if before.served else ()
        if new.served and new.served.warnings not in ((), known):
            warnings = [str(warning) for warning in new.served.warnings[:10]]
            log.warning(
                "configuration accepted with warnings",
                gateway=self.name,
                revision=new.served.revision,
                warnings=warnings,
            )
        self._delivered.send()
