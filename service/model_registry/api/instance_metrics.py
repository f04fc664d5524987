"""Instruments of model services: how many instances there are in which state, and how often states change."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from model_registry.services.dispatch.targets import TargetState
from model_registry.services.model_services import ModelServices
from model_registry.services.register import model_service_of
from model_registry.services.views import state_of
from model_registry.store.registry import Registry


class InstanceMetrics(Collector):
    """As this replica knows them."""

    def __init__(self, collected: CollectorRegistry) -> None:
        self._count: Callable[[], Tally[tuple[str, str]]] = Tally
        self._changes = Counter(
            "model_registry_state_changes_total",
            "Changes of state of what requests are sent to, by kind (instance, provider, deployment) and new state.",
            ("kind", "state"),
            registry=collected,
        )
        self._messages = Counter(
            "model_registry_service_messages_total",
            "Messages of model services over NATS, by outcome: recorded, renewed, rejected or ignored.",
            ("outcome",),
            registry=collected,
        )
        collected.register(self)

    def state_changed(self, kind: str, state: TargetState) -> None:
        """Count one change of how an instance, a provider or a deployment is."""
        self._changes.labels(kind, state).inc()

    def messages(self, outcome: str, number: int) -> None:
        """Count messages of model services."""
        self._messages.labels(outcome).inc(number)

    def watch(self, registry: Registry, services: ModelServices) -> None:
        """Show the instances of these, at the moment of the scrape."""
        self._count = lambda: _instances_by_state(registry, services)

    def collect(self) -> Iterable[Metric]:
        """The instances by model type and state."""
        gauge = GaugeMetricFamily(
            "model_registry_instances",
            "Instances of model services by model type and state, as this replica knows them.",
            labels=("model_type", "state"),
        )
        for labels, number in self._count().items():
            gauge.add_metric(labels, number)
        yield gauge


def _instances_by_state(registry: Registry, services: ModelServices) -> Tally[tuple[str, str]]:
    if not registry.loaded:
        return Tally()
    snapshot = registry.snapshot
    return Tally(
        (model_service_of(snapshot, instance).model_type, state_of(instance, services.known(instance))[0])
        for instance in snapshot.instances
    )
