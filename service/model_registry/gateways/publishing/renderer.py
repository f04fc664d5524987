"""The rendered gateway configuration of the current snapshot, rendered once per change that matters to it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import Any

from model_registry.entities.change import Change
from model_registry.fleet.flap_damping import DampedSnapshot, damp
from model_registry.gateways.tensorzero.rendering.affected import configuration_tables
from model_registry.gateways.tensorzero.rendering.render import RenderCache, Rendered, render
from model_registry.snapshot.snapshot import Snapshot
from model_registry.store.registry import Registry


class Renderer:
    """Keeps the last rendering, and the fragments that make the next one cheap."""

    def __init__(self, registry: Registry, hold_seconds: float) -> None:
        self._registry = registry
        self._hold_seconds = hold_seconds
        self._cache = RenderCache()
        self._lock = threading.Lock()
        self._made_of: list[Any] = []
        self._rendered: Rendered | None = None
        self._warming: asyncio.Task[Rendered] | None = None
        registry.stepped.observe(self._on_step)

    def damped(self, snapshot: Snapshot, now: float) -> DampedSnapshot:
        """What of this snapshot a configuration is to be made of at this time (epoch seconds)."""
        return damp(snapshot, now, self._hold_seconds)

    def of(self, snapshot: Snapshot) -> Rendered:
        """The configuration of this snapshot. The lock: a full load is rendered off the event loop."""
        with self._lock:
            made_of = [snapshot.tables[name] for name in sorted(configuration_tables(snapshot))]
            if self._rendered is None or any(a is not b for a, b in zip(made_of, self._made_of, strict=False)):
                self._rendered, self._made_of = render(snapshot, self._cache), made_of
            return self._rendered

    def _on_step(self, _before: Snapshot, after: Snapshot, changes: Sequence[Change]) -> None:
        # 10,000 models take about a second at first: not on the event loop, and before anyone asks.
        if not changes:
            self._warming = asyncio.create_task(asyncio.to_thread(self.of, after), name="first rendering")
