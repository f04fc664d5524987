"""The publishers of all gateways: one for each row, made and ended with it. A slow one holds up no other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

import structlog

from model_registry.entities.change import Change
from model_registry.entities.gateway import DEFAULT_GATEWAY, Gateway
from model_registry.gateways.kinds import KINDS
from model_registry.gateways.publishing.publisher import ConfigPublisher
from model_registry.gateways.scope import default_gateway
from model_registry.snapshot.snapshot import Snapshot
from model_registry.store.registry import Registry

log = structlog.get_logger(__name__)

_PAUSE_SECONDS = 1.0
"""Between a failure of a publisher and its restart."""


class GatewayPublishers:
    """A publisher for each gateway, under its row's id."""

    def __init__(
        self, registry: Registry, make: Callable[[Gateway], ConfigPublisher], on_failure: Callable[[str], None]
    ) -> None:
        """`make` makes a publisher for a row; `on_failure` counts failures, by the worker's name."""
        self._registry = registry
        self._make = make
        self._on_failure = on_failure
        self._of: dict[str, ConfigPublisher] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._gone: list[tuple[str, ConfigPublisher]] = []
        self._changed = asyncio.Event()
        self._following = self._released = False
        self.default = make(default_gateway())
        """That of the row that is there from the start."""

    def __iter__(self) -> Iterator[ConfigPublisher]:
        return iter((self.default, *self._of.values()))

    def of(self, gateway: Gateway) -> ConfigPublisher | None:
        """Return a gateway's publisher; None while this version does not know its kind."""
        return self.default if gateway.name == DEFAULT_GATEWAY else self._of.get(gateway.id)

    def follow(self) -> None:
        """Follow the registry from now on."""
        self._following = True
        self.default.follow()
        self._registry.stepped.observe(self._on_step)
        if self._registry.loaded:
            self._match(self._registry.snapshot)

    def release(self) -> None:
        """Let every waiter go, now and from now on: the service is about to stop."""
        self._released = True
        for publisher in self:
            publisher.release()

    def _on_step(self, before: Snapshot, after: Snapshot, _changes: Sequence[Change]) -> None:
        if before.gateways is not after.gateways:
            self._match(after)

    def _match(self, snapshot: Snapshot) -> None:
        rows = {row.id: row for row in snapshot.gateways if row.name != DEFAULT_GATEWAY and row.kind in KINDS}
        for row_id in [row_id for row_id in self._of if row_id not in rows]:
            self._gone.append((row_id, self._of.pop(row_id)))
        for row_id, row in rows.items():
            if row_id not in self._of:
                publisher = self._of[row_id] = self._make(row)
                publisher.follow()
                if self._released:
                    publisher.release()
            elif self._of[row_id].name != row.name:
                self._of[row_id].name = row.name
        self._changed.set()

    async def run(self) -> None:
        """Keep every publisher running until this is cancelled."""
        try:
            while True:
                self._changed.clear()
                for row_id, publisher in (("", self.default), *self._of.items()):
                    if row_id not in self._tasks:
                        name = f"config-publisher {publisher.name}"
                        self._tasks[row_id] = asyncio.create_task(self._keep_running(publisher), name=name)
                while self._gone:
                    row_id, publisher = self._gone.pop()
                    await self._end(self._tasks.pop(row_id, None))
                    await publisher.close()
                    publisher.delete()
                await self._changed.wait()
        finally:
            for task in self._tasks.values():
                task.cancel()
            await asyncio.gather(*self._tasks.values(), return_exceptions=True)
            self._tasks.clear()

    async def close(self) -> None:
        """End the checks that are going on."""
        await asyncio.gather(*(publisher.close() for publisher in self))

    async def _keep_running(self, publisher: ConfigPublisher) -> None:
        while True:
            try:
                await publisher.run()
            except Exception:  # the outermost loop of a worker: a bug must not end it for good
                log.exception("publishing failed; starting it again", gateway=publisher.name, seconds=_PAUSE_SECONDS)
                self._on_failure("config-publisher")
            await asyncio.sleep(_PAUSE_SECONDS)

    @staticmethod
    async def _end(task: asyncio.Task[None] | None) -> None:
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
