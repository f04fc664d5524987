"""Publishing: each new configuration is rendered, validated in the background, and the newest accepted one is served.

How it is validated is in `tensorzero/validation/validate.py`, what is served in `published.py`; here is when, and what
follows from the result. One validation at a time; changes that arrive meanwhile are validated together, as the newest
configuration.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import structlog

from model_registry.entities.change import Change
from model_registry.file_paths import CONFIG_FILE
from model_registry.fleet.flap_damping import DampedSnapshot, damp
from model_registry.gateways.published import AcceptedFile, Files, Published, Refused, Served, concerns_published
from model_registry.gateways.tensorzero.rendering.bundle import bundle
from model_registry.gateways.tensorzero.rendering.render import RenderCache, Rendered, render
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


class ConfigPublisher:
    """One loop that brings the delivery up to date with the registry."""

    def __init__(
        self,
        registry: Registry,
        renderer: Renderer,
        validator: Validator,
        file: AcceptedFile,
        on_result: Callable[[str, float], None],
    ) -> None:
        self._registry = registry
        self._renderer = renderer
        self.validator = validator
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
            self.delivery = Published(self._file.load(snapshot.registry_id))
            self.newest = snapshot.revision

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
                self.delivery = Published(self._file.load(after.registry_id))
        elif not self.pending and not concerns_published(before, after, changes):
            self._validated = after.revision
            self.delivery = self.delivery.at_revision(after.revision)
        self.newest = after.revision
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
        damped = await asyncio.to_thread(self._renderer.damped, snapshot, time.time())
        self._wake_at(damped.until)
        files = bundle(snapshot, await asyncio.to_thread(self._renderer.of, damped.snapshot))
        served, refused = self.delivery.served, self.delivery.refused
        result = None
        is_final = not self.delivery.provisional
        if served and is_final and served.files == files and served.validated_by == self.validator.name:
            new = Published(replace(served, revision=snapshot.revision))
        elif refused and refused.files == files:
            new = replace(self.delivery, refused=replace(refused, revision=snapshot.revision))
        else:
            result = await self._validate(files, snapshot)
            new = self._published(result, files, snapshot)
        if self._registry.loads != loads:
            # The database was exchanged meanwhile, or went back to a backup: the result is about what may be no more.
            self._changed.set()
            return
        self._validated = max(self._validated, snapshot.revision)
        self._become(new)
        if result is not None:
            self._on_result("accepted" if result.accepted else "refused", time.perf_counter() - began)
            if new.served is not None and result.accepted:
                await asyncio.to_thread(self._file.save, new.served, snapshot.registry_id)

    async def _validate(self, files: Files, snapshot: Snapshot) -> ValidationResult:
        """Asks the gateway; the rules decide at once where there is nothing else that could be served meanwhile."""
        by_gateway = self.validator.gateway is not None
        if by_gateway and self.delivery.served is None:
            result = await self.validator.check(files, gateway=False)
            if not result.accepted:
                return result
            served = Served(snapshot.revision, files, RULES, time.time())
            self.delivery = Published(served, self.delivery.refused, provisional=True)
        return await self.validator.check(files, gateway=by_gateway)

    def _published(self, result: ValidationResult, files: Files, snapshot: Snapshot) -> Published:
        validated_by = self.validator.name if result.gateway else RULES
        by_rules = result.gateway.by_rules if result.gateway else ()
        if result.accepted:
            return Published(Served(snapshot.revision, files, validated_by, time.time(), by_rules))
        refused = Refused(snapshot.revision, files, validated_by, time.time(), result.reasons, by_rules)
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
