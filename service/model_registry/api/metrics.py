"""Instruments of one running service, for Prometheus: labels are bounded (routes, no paths)."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Callable, Iterable, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from model_registry.api.durations import DurationHistogram, Durations
from model_registry.entities.change import Operation
from model_registry.entities.node import NODE_STATUSES
from model_registry.fleet.liveness import Position
from model_registry.gateways.publishing.published import Published
from model_registry.store.registry import Registry

_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
_VALIDATION_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_REQUEST_LABELS = ("method", "route", "status")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Metrics:
    """Counters of one running service."""

    def __init__(self, registry: Registry) -> None:
        self.collected = CollectorRegistry()
        self._counted: dict[tuple[str, str, int], Durations] = {}
        shown = "Requests by route and status, with their durations."
        name = "model_registry_request_seconds"
        self._requests = DurationHistogram(name, shown, _REQUEST_LABELS, _BUCKETS, self.collected)
        self._validations = self._histogram(
            "configuration_check_seconds",
            "Checks of new configurations by outcome, from the change to the result.",
            _VALIDATION_BUCKETS,
            ["outcome"],
        )
        self._refused = self._counter(
            "refused_requests_total",
            "Requests that were not served because of what they ask of the service, by reason.",
            "reason",
        )
        self._writes = self._counter(
            "writes_total", "Operations sent to the database, by table and outcome.", "table", "outcome"
        )
        self._events = self._counter("events_total", "GPU events, by outcome.", "outcome")
        self._masked = self._counter(
            "masked_secrets_total",
            "Secrets that were masked in the messages of nodes, by place: events, or rejected messages.",
            "where",
        )
        self._worker_failures = self._counter(
            "worker_failures_total", "Workers that failed unexpectedly and were restarted, by name.", "worker"
        )
        self._gauge(
            "snapshot_load_seconds",
            "What the last full load of the snapshot took.",
            lambda: registry.load_seconds or 0.0,
        )
        self.collected.register(_SnapshotCollector(registry))
        registry.written.observe(self.write)
        registry.masked.observe(self.masked)

    def _counter(self, name: str, help_text: str, *labels: str) -> Counter:
        return Counter(f"model_registry_{name}", help_text, labels, registry=self.collected)

    def _histogram(self, name: str, help_text: str, buckets: Sequence[float], labels: Sequence[str]) -> Histogram:
        return Histogram(f"model_registry_{name}", help_text, labels, buckets=buckets, registry=self.collected)

    def _gauge(self, name: str, help_text: str, read: Callable[[], float]) -> None:
        """Add a gauge that is read at the moment of the scrape."""
        Gauge(f"model_registry_{name}", help_text, registry=self.collected).set_function(read)

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one request."""
        known = method if method in _METHODS else "other"
        counted = self._counted.get((known, route, status))
        if counted is None:
            counted = self._counted[known, route, status] = self._requests.labels(known, route, str(status))
        counted.observe(seconds)

    def refused(self, reason: str) -> None:
        """Count one request that was refused for its size, its pace, its caller or the service's load."""
        self._refused.labels(reason).inc()

    def write(self, operations: Sequence[Operation], outcome: str) -> None:
        """Count what was sent to the database: done, refused or failed."""
        for table, number in Tally(operation.table for operation in operations).items():
            self._writes.labels(table, outcome).inc(number)

    def masked(self, where: str, number: int) -> None:
        """Count secrets that nodes sent: in events, or in rejected messages."""
        self._masked.labels(where).inc(number)

    def worker_failed(self, worker: str) -> None:
        """Count one failure of what runs without a request."""
        self._worker_failures.labels(worker).inc()

    def validated(self, outcome: str, seconds: float) -> None:
        """Count one new configuration: accepted, partial (accepted without some rows) or refused."""
        self._validations.labels(outcome).observe(seconds)

    def watch_delivery(self, look: Callable[[], Published]) -> None:
        """Show what goes out, at the moment of the scrape."""
        self._gauge(
            "configuration_revision",
            "The revision of the configuration that gateways get; 0 while there is none.",
            lambda: now.revision if (now := look().served) else 0,
        )
        self._gauge(
            "configuration_refused",
            "1 while validation refuses the newest configuration, or rows of it.",
            lambda: float(look().refused_revision is not None),
        )
        self._gauge(
            "configuration_excluded_rows",
            "Rows that the configuration is published without, because validation refuses them.",
            lambda: len(look().excluded),
        )

    def watch_events(self, look: Callable[[], Iterable[Position]]) -> None:
        """Show how far the consumer is, as of the last look at it."""
        self._gauge(
            "events_pending",
            "GPU events that NATS keeps and has not handed out.",
            lambda: sum(position.pending for position in look()),
        )
        self._gauge(
            "events_in_flight",
            "GPU events handed out and not recorded yet.",
            lambda: sum(position.in_flight for position in look()),
        )

    def events(self, outcome: str, number: int = 1) -> None:
        """Count GPU events: recorded, heartbeat, rejected, ignored or failed."""
        self._events.labels(outcome).inc(number)


class _SnapshotCollector(Collector):
    """Gauges read off the snapshot at the moment of the scrape."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def collect(self) -> Iterable[Metric]:
        registry = self._registry
        yield GaugeMetricFamily(
            "model_registry_stale_seconds",
            "For how long the database has not answered; 0 while it does.",
            registry.stale_seconds() or 0.0,
        )
        yield GaugeMetricFamily(
            "model_registry_snapshot_age_seconds",
            "Since the database last confirmed the snapshot.",
            registry.age_seconds(),
        )
        if not registry.loaded:
            return
        snapshot = registry.snapshot
        yield GaugeMetricFamily(
            "model_registry_snapshot_revision", "The revision that reads are answered from.", snapshot.revision
        )
        sizes = GaugeMetricFamily("model_registry_rows", "Rows in the snapshot, by table.", labels=["table"])
        for name, table in sorted(snapshot.tables.items()):
            sizes.add_metric([name], len(table))
        yield sizes
        nodes = GaugeMetricFamily("model_registry_nodes", "GPU nodes, by status.", labels=["status"])
        statuses = Tally(node.status for node in snapshot.nodes)
        for status in NODE_STATUSES:
            nodes.add_metric([status], statuses[status])
        yield nodes
