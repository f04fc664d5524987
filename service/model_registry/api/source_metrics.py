"""Instruments of discovery: how sources answer, and how many do."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from model_registry.store.registry import Registry

_BUCKETS = (0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300)


class SourceMetrics(Collector):
    """Labels are bounded: kinds, states and outcomes, no names."""

    def __init__(self, collected: CollectorRegistry, registry: Registry) -> None:
        self._registry = registry
        self._answers = Histogram(
            "model_registry_source_answer_seconds",
            "Answers of sources by kind and outcome (changed, unchanged, failed), with what asking took.",
            ("kind", "outcome"),
            buckets=_BUCKETS,
            registry=collected,
        )
        collected.register(self)

    def asked(self, kind: str, outcome: str, seconds: float) -> None:
        """Count one answer: changed, unchanged or failed."""
        self._answers.labels(kind, outcome).observe(seconds)

    def collect(self) -> Iterable[Metric]:
        """The active sources by kind and state, at the moment of the scrape."""
        gauge = GaugeMetricFamily(
            "model_registry_sources", "Active sources by kind and state (never, ok, failing).", labels=("kind", "state")
        )
        snapshot = self._registry.snapshot if self._registry.loaded else None
        answers = {answer.id: answer.state for answer in snapshot.source_answers} if snapshot else {}
        sources = snapshot.sources if snapshot else ()
        states = Tally((source.kind, answers.get(source.id, "never")) for source in sources if source.active)
        for labels, number in sorted(states.items()):
            gauge.add_metric(labels, number)
        yield gauge
