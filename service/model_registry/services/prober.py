"""Looks at the health of every instance again and again, and at the versions that it lists.

Each replica does so for itself, and keeps what it finds in memory: what it means for an instance is the balancer's to
say. An instance that fails is looked at more often, so that it is back soon after it is well.
"""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import Callable
from dataclasses import dataclass

from model_registry.entities.model_service import ServiceInstance
from model_registry.errors import NotFound
from model_registry.http11.connections import Connections
from model_registry.services.dispatch.balancer import Balancer
from model_registry.services.instance_targets import target_of
from model_registry.services.probing import Probe, listed, probe
from model_registry.services.register import model_service_of
from model_registry.services.registration import HealthCheck
from model_registry.services.served_versions import ListedVersions, read_versions
from model_registry.store.registry import Registry

PROBE_SECONDS = 5.0
"""For one probe, name and connection included."""
AT_ONCE = 32
"""Probes under way."""
_AGAIN_SECONDS = 1.0
"""Until the next probe of an instance that is not well, ..."""
_MOST_AGAIN_SECONDS = 5.0
"""... and longest, when it has not been for a while: well below the 10 s in which it is to be back."""
_PER_SECOND = 200.0
"""New instances that are looked at first in a second: those of a large registry do not all come at once."""
_TURN_SECONDS = 0.05
_CONNECT_SECONDS = 60.0
"""More than a probe takes, so that the probe decides."""


def probe_connections() -> Connections:
    """Those of a prober: each probe has one of its own, and shows that the instance takes connections."""
    return Connections(connect_seconds=_CONNECT_SECONDS, most_idle=0)


@dataclass(slots=True)
class _Watched:
    """What is remembered of an instance."""

    instance: ServiceInstance
    due: float = 0.0
    failures: int = 0
    """In a row."""
    probe: Probe | None = None
    versions_due: float = 0.0


class Prober:
    """A worker: probes the instances of the newest snapshot, at most `AT_ONCE` side by side."""

    def __init__(  # noqa: PLR0913 (its parts, and how often)
        self,
        registry: Registry,
        balancer: Balancer,
        connections: Connections,
        versions: ListedVersions,
        *,
        health_seconds: float,
        discovery_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._registry = registry
        self._balancer = balancer
        self._connections = connections
        self._versions = versions
        self._health_seconds = health_seconds
        self._discovery_seconds = discovery_seconds
        self._clock = clock
        self._watched: dict[str, _Watched] = {}
        """By the instance's id."""
        self._queue: list[tuple[float, str]] = []
        self._looking: set[asyncio.Task[None]] = set()
        self._stamp: object = None

    def last(self, instance: ServiceInstance) -> Probe | None:
        """The last probe of an instance as it is registered now; None when there was none."""
        watched = self._watched.get(instance.id)
        return watched.probe if watched is not None and _same_check(watched.instance, instance) else None

    async def run(self) -> None:
        """Probe what is due, for ever."""
        try:
            while True:
                self._take_over()
                self._start_due()
                await asyncio.sleep(_TURN_SECONDS)
        finally:
            for task in self._looking:
                task.cancel()

    async def look(self, instance: ServiceInstance) -> Probe | None:
        """Probe an instance now, in `PROBE_SECONDS` at most; None when it is never probed. Errors: NotFound."""
        check = HealthCheck.model_validate(instance.health)
        if check.check == "none":
            return None
        target = target_of(model_service_of(self._registry.snapshot, instance), instance)
        found = await probe(self._connections, instance.service_url, check.path, check.words, PROBE_SECONDS)
        watched = self._watched.get(instance.id)
        if watched is not None and _same_check(watched.instance, instance):
            watched.probe = found
            watched.failures = 0 if found.result.kind == "ok" else watched.failures + 1
            self._balancer.probed(target, found.result, self._clock())
        return found

    def _take_over(self) -> None:
        """Follow the snapshot: new instances are due soon, those that are gone are forgotten."""
        if not self._registry.loaded:
            return
        instances = self._registry.snapshot.instances
        if instances.stamp is self._stamp:
            return
        self._stamp = instances.stamp
        due = self._clock()
        for instance in instances:
            known = self._watched.get(instance.id)
            if known is not None and _same_check(known.instance, instance):
                known.instance = instance
            else:
                self._watched[instance.id] = _Watched(instance)
                self._put_off(instance.id, due)
                due += 1 / _PER_SECOND
        for row_id in [row_id for row_id in self._watched if instances.get(row_id) is None]:
            del self._watched[row_id]
        self._versions.keep_only({instance.service_id for instance in instances})

    def _put_off(self, row_id: str, due: float) -> None:
        self._watched[row_id].due = due
        heapq.heappush(self._queue, (due, row_id))

    def _start_due(self) -> None:
        now = self._clock()
        while self._queue and self._queue[0][0] <= now and len(self._looking) < AT_ONCE:
            due, row_id = heapq.heappop(self._queue)
            watched = self._watched.get(row_id)
            if watched is None or watched.due != due:
                continue  # gone, or registered anew and due at another time
            task = asyncio.create_task(self._look_and_put_off(watched), name=f"probe {watched.instance.service_id}")
            self._looking.add(task)
            task.add_done_callback(self._looking.discard)

    async def _look_and_put_off(self, watched: _Watched) -> None:
        instance = watched.instance
        try:
            found = await self.look(instance)
            if found is not None and found.result.kind == "ok":
                await self._ask_versions(watched)
        except NotFound:  # its model service has just gone, and it with it
            return
        finally:
            if self._watched.get(instance.id) is watched:
                pause = min(self._health_seconds, _MOST_AGAIN_SECONDS, watched.failures * _AGAIN_SECONDS)
                self._put_off(instance.id, self._clock() + (pause or self._health_seconds))

    async def _ask_versions(self, watched: _Watched) -> None:
        """Ask for the versions when it is time. Where that fails, those that were listed last count on."""
        if self._clock() < watched.versions_due:
            return
        watched.versions_due = self._clock() + self._discovery_seconds
        body = await listed(self._connections, watched.instance.service_url, PROBE_SECONDS)
        if body is not None and self._watched.get(watched.instance.id) is watched:
            self._versions.put(watched.instance.service_id, read_versions(body))


def _same_check(one: ServiceInstance, other: ServiceInstance) -> bool:
    """Whether what was found of one is true of the other: the same place, asked in the same way."""
    return (one.service_url, one.health) == (other.service_url, other.health)
