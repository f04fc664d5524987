"""The parts of a registry that know model services: made once by `app.py`."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from model_registry.entities.model_service import ServiceInstance
from model_registry.http11.connections import Connections
from model_registry.services.directory import InstanceDirectory
from model_registry.services.dispatch.balancer import Balancer
from model_registry.services.dispatch.targets import TargetState
from model_registry.services.instance_targets import key_of
from model_registry.services.liveness import InstanceLiveness
from model_registry.services.prober import Prober, probe_connections
from model_registry.services.register import Registrar
from model_registry.services.served_versions import ListedVersions
from model_registry.services.services_file import ServicesFile, read_services_file
from model_registry.services.state_changes import StateChanges
from model_registry.services.views import Known
from model_registry.settings import Settings
from model_registry.store.registry import Registry


@dataclass(frozen=True, slots=True)
class ModelServices:
    """What registers instances, knows how they are, and finds those for a request."""

    balancer: Balancer
    """Of this replica. Dispatch picks by it."""
    registrar: Registrar
    liveness: InstanceLiveness
    prober: Prober
    versions: ListedVersions
    directory: InstanceDirectory
    connections: Connections
    """Of the prober."""
    file: ServicesFile | None
    """What is registered at start."""

    def known(self, instance: ServiceInstance) -> Known:
        """What this replica knows of an instance."""
        now = time.monotonic()
        view = self.balancer.view(key_of(instance), now)
        return Known(view, self.prober.last(instance), self.versions.names(instance.service_id), now)


def make_model_services(
    settings: Settings,
    registry: Registry,
    new_id: Callable[[], str],
    count: Callable[[str, TargetState], None] = lambda _kind, _state: None,
) -> ModelServices:
    """Put the parts together; nothing runs yet. `count` counts changes of state, by kind of target and new state.

    Errors: SourceUnreadable, Invalid, for the services file.
    """
    balancer = Balancer(StateChanges(count).note)
    versions = ListedVersions()
    connections = probe_connections()
    prober = Prober(
        registry,
        balancer,
        connections,
        versions,
        health_seconds=settings.health_interval,
        discovery_seconds=settings.discovery_interval,
    )
    registrar, path = Registrar(registry, new_id, settings.port), settings.services_file
    return ModelServices(
        balancer,
        registrar,
        InstanceLiveness(registry, balancer, prober, takes_renewals=settings.role != "dispatch"),
        prober,
        versions,
        InstanceDirectory(versions),
        connections,
        ServicesFile(path, read_services_file(path), registrar) if path else None,
    )
