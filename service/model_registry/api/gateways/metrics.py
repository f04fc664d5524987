"""Instruments of publishing, by gateway: what each gets, what is refused, what checks cost."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from model_registry.gateways.publishing.publisher import ConfigPublisher

_LABELS = ("gateway", "kind")
_GAUGES: tuple[tuple[str, str, Callable[[ConfigPublisher], float]], ...] = (
    (
        "revision",
        "The revision of the configuration that the gateway gets; 0 while there is none.",
        lambda p: p.delivery.served.revision if p.delivery.served else 0,
    ),
    ("pending", "1 while the newest configuration is being validated.", lambda p: p.pending),
    (
        "refused",
        "1 while validation refuses its newest configuration, or rows of it.",
        lambda p: p.delivery.refused_revision is not None,
    ),
    ("excluded_rows", "Rows that it is published without.", lambda p: len(p.delivery.excluded)),
    ("pinned", "1 while it is pinned to a revision.", lambda p: p.pinned),
    ("pin_lost", "1 while its pinned revision cannot be had.", lambda p: p.pin_error is not None),
)


class GatewayMetrics(Collector):
    """Labels are bounded by the rows that administrators make."""

    def __init__(self, collected: CollectorRegistry, in_all: Callable[[str, float], None]) -> None:
        """`in_all` counts results of all gateways."""
        self._in_all = in_all
        self._publishers: Iterable[ConfigPublisher] = ()
        self._validations = Counter(
            "model_registry_gateway_validations",
            "New configurations by outcome (accepted, partial, refused).",
            (*_LABELS, "outcome"),
            registry=collected,
        )
        collected.register(self)

    def watch(self, publishers: Iterable[ConfigPublisher]) -> None:
        """Show what these have."""
        self._publishers = publishers

    def validated(self, gateway: str, kind: str, outcome: str, seconds: float) -> None:
        """Count one result."""
        self._validations.labels(gateway, kind, outcome).inc()
        self._in_all(outcome, seconds)

    def collect(self) -> Iterable[Metric]:
        """What each gateway has, at the moment of the scrape."""
        publishers = list(self._publishers)
        for name, text, read in _GAUGES:
            gauge = GaugeMetricFamily(f"model_registry_gateway_{name}", text, labels=_LABELS)
            for publisher in publishers:
                gauge.add_metric((publisher.name, publisher.renderer.kind.name), float(read(publisher)))
            yield gauge
