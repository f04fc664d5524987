"""Which instances are renewed, and which are gone: renewals are written together, and the database decides.

A renewal is no change of the registry: it is noted in memory and written within a second, also after the database was
away. An instance that is busy cannot renew, because training blocks its event loop: while this replica has a request
in flight at it, or can connect to it while it trains, it renews the instance itself. What is retired is renewed while
requests are in flight, and goes when none is and its jobs have ended, whichever replica sent them
(`registry_renew_instances` in schema/75_model_services.sql).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import structlog

from model_registry.entities.model_service import ServiceInstance
from model_registry.errors import RegistryError
from model_registry.services.dispatch.balancer import Balancer
from model_registry.services.instance_targets import key_of
from model_registry.services.prober import Prober
from model_registry.store.registry import Registry

log = structlog.get_logger(__name__)

WRITE_SECONDS = 1.0
"""Between two writes of renewals."""
GAP_SECONDS = 5.0
"""Without a word of any replica: then silence counts anew. An instance goes at most so much later than it could."""
RETIRED_SECONDS = 3.0
"""How long no replica must have held what is retired."""
_MOST_SHOWN = 20


class InstanceLiveness:
    """A worker: writes renewals, and learns which instances are gone."""

    def __init__(
        self,
        registry: Registry,
        balancer: Balancer,
        prober: Prober,
        *,
        takes_renewals: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """A replica that only dispatches takes no renewals, so it cannot know who is silent."""
        self._takes_renewals = takes_renewals
        self._registry = registry
        self._balancer = balancer
        self._prober = prober
        self._clock = clock
        self._renewed: set[str] = set()

    def renewed(self, service_id: str) -> None:
        """Note that an instance was renewed by its registrant."""
        self._renewed.add(service_id)

    async def run(self) -> None:
        """Write once a second, while there are renewals or anybody may fall silent."""
        while True:
            await asyncio.sleep(WRITE_SECONDS)
            await self.write()

    async def write(self) -> None:
        """Write the renewals since the last time. While the database is away they are kept; silence does not count."""
        if not self._registry.loaded:
            return
        watched = [i for i in self._registry.snapshot.instances if i.ttl_seconds is not None or i.status == "retired"]
        renewed, self._renewed = self._renewed, set()
        held = renewed | {instance.service_id for instance in watched if self._is_held(instance)}
        if not held and not (watched and self._takes_renewals):
            return
        gap = GAP_SECONDS if self._takes_renewals else None
        try:
            gone = await self._registry.renew_instances(sorted(held), gap_seconds=gap, retired_seconds=RETIRED_SECONDS)
        except RegistryError as error:
            self._renewed |= renewed
            log.debug("renewals not written; they are kept", error=error.message)
            return
        _log_gone(gone)

    def _is_held(self, instance: ServiceInstance) -> bool:
        key = key_of(instance)
        if self._balancer.in_flight(key):
            return True
        probe = self._prober.last(instance)
        if instance.status == "retired" or probe is None or not (probe.result.kind == "timeout" and probe.reached):
            return False
        return self._balancer.view(key, self._clock()).state == "busy"


def _log_gone(gone: list[ServiceInstance]) -> None:
    silent = [instance.service_id for instance in gone if instance.status != "retired"]
    retired = [instance.service_id for instance in gone if instance.status == "retired"]
    if silent:
        log.warning("instances gone: nobody renewed them", number=len(silent), instances=silent[:_MOST_SHOWN])
    if retired:
        log.info("retired instances gone", number=len(retired), instances=retired[:_MOST_SHOWN])
