"""Instruments of dispatch. Labels are names of registered model services and models, never a caller's text."""

from __future__ import annotations

import time
from collections import Counter as Tally
from collections.abc import Iterable
from typing import Any

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from model_registry.api.durations import DurationHistogram, Durations
from model_registry.services.dispatch.dispatcher import Dispatcher
from model_registry.services.dispatch.plan import Plan
from model_registry.services.dispatch.targets import Outcome, Target

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 600)
_OVERHEAD_SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 1, 10)
_MOST_NAMES = 1000
OTHER = "other"
"""The label of names beyond the first `_MOST_NAMES`."""


class DispatchMetrics(Collector):
    """Counters of one running service. Finding an instrument by its labels takes longer than observing: it is kept."""

    def __init__(self, collected: CollectorRegistry) -> None:
        def histogram(name: str, help_text: str, labels: Iterable[str], bounds: Iterable[float]) -> DurationHistogram:
            return DurationHistogram(f"model_registry_dispatch_{name}", help_text, labels, tuple(bounds), collected)

        self._requests = histogram(
            "request_seconds",
            "Dispatched requests by model type or model, capability and class of status, with their whole durations.",
            ("model", "capability", "status"),
            _SECONDS,
        )
        self._upstream = histogram(
            "upstream_seconds",
            "What the target that answered took to the beginning of its response.",
            ("model", "capability"),
            _SECONDS,
        )
        self._overhead = histogram(
            "overhead_seconds",
            "What the registry added to a request: choosing, waiting for a place, failed tries, and its own work.",
            (),
            _OVERHEAD_SECONDS,
        ).labels()
        self._failed = Counter(
            "model_registry_dispatch_failed_tries_total",
            "Tries that did not yield the answer, by model type or model, and how they ended.",
            ("model", "outcome"),
            registry=collected,
        )
        self._names: set[str] = set()
        self._kept: dict[tuple[Any, ...], Durations] = {}
        self._dispatcher: Dispatcher | None = None
        collected.register(self)

    def request(self, name: str, capability: str, status: int, seconds: float) -> None:
        """Count one request, answered or not."""
        key = (name, capability, status // 100)
        kept = self._kept.get(key)
        if kept is None:
            kept = self._kept[key] = self._requests.labels(self._label(name), capability, f"{status // 100}xx")
        kept.observe(seconds)

    def answered(self, name: str, capability: str, upstream_seconds: float, overhead_seconds: float) -> None:
        """Count one answer of a target that has begun."""
        key = (name, capability)
        kept = self._kept.get(key)
        if kept is None:
            kept = self._kept[key] = self._upstream.labels(self._label(name), capability)
        kept.observe(upstream_seconds)
        self._overhead.observe(overhead_seconds)

    def failed_try(self, plan: Plan, _target: Target, outcome: Outcome) -> None:
        """Count one try that did not yield the answer."""
        self._failed.labels(self._label(plan.name), outcome.kind).inc()

    def watch(self, dispatcher: Dispatcher) -> None:
        """Show how this dispatcher is, at the moment of the scrape."""
        self._dispatcher = dispatcher

    def collect(self) -> Iterable[Metric]:
        """Who waits, what is in flight, and which breakers are open."""
        if self._dispatcher is None:
            return
        waiting = GaugeMetricFamily(
            "model_registry_dispatch_waiting",
            "Requests that wait for a free place, by model type or model.",
            labels=("model",),
        )
        lengths = Tally[str]()
        for name, length in self._dispatcher.waiting.lengths().items():
            lengths[self._label(name)] += length
        for name, length in lengths.items():
            waiting.add_metric((name,), length)
        yield waiting
        yield from self._targets(self._dispatcher)

    def _targets(self, dispatcher: Dispatcher) -> Iterable[Metric]:
        in_flight, breakers = Tally[str](), Tally[tuple[str, str]]()
        for key, view in dispatcher.balancer.views(time.monotonic()):
            kind = key.partition(":")[0]
            in_flight[kind] += view.in_flight
            breakers[kind, view.breaker] += 1
        requests = GaugeMetricFamily(
            "model_registry_dispatch_in_flight",
            "Requests under way, by kind of target (instance, provider, deployment).",
            labels=("kind",),
        )
        for kind, number in in_flight.items():
            requests.add_metric((kind,), number)
        yield requests
        states = GaugeMetricFamily(
            "model_registry_dispatch_breakers",
            "Targets that have been asked, by kind and the worst of their breakers (closed, half_open, open).",
            labels=("kind", "breaker"),
        )
        for labels, number in breakers.items():
            states.add_metric(labels, number)
        yield states

    def _label(self, name: str) -> str:
        if name not in self._names and len(self._names) >= _MOST_NAMES:
            return OTHER
        self._names.add(name)
        return name
