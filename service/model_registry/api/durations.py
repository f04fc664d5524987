"""Histograms of durations that every request adds to: of Prometheus's kind, counted by one thread without locks.

prometheus_client's own take 2 us for an observation, these 0.4; a dispatched request is four.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import accumulate

from prometheus_client import CollectorRegistry
from prometheus_client.core import HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString


class Durations:
    """One series: how many durations fell between which bounds, and their sum."""

    __slots__ = ("_bounds", "counts", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self.sum = 0.0
        self.counts = [0] * (len(bounds) + 1)
        """Of durations up to each bound and above the one before, and of those above the last."""

    def observe(self, seconds: float) -> None:
        """Add one. Only in the thread of the event loop."""
        self.counts[bisect_left(self._bounds, seconds)] += 1
        self.sum += seconds


class DurationHistogram(Collector):
    """A histogram with labels: one series for each combination of their values that has been asked for."""

    def __init__(
        self, name: str, help_text: str, labels: Iterable[str], bounds: Sequence[float], collected: CollectorRegistry
    ) -> None:
        self._name = name
        self._help = help_text
        self._labels = tuple(labels)
        self._bounds = tuple(bounds)
        self._shown = [*map(floatToGoString, self._bounds), "+Inf"]
        self._series: dict[tuple[str, ...], Durations] = {}
        if not self._labels:
            self.labels()
        collected.register(self)

    def labels(self, *values: str) -> Durations:
        """The series with these values of the labels, in their order."""
        series = self._series.get(values)
        if series is None:
            series = self._series[values] = Durations(self._bounds)
        return series

    def describe(self) -> Iterable[Metric]:
        """Its name, so that no other has it."""
        yield HistogramMetricFamily(self._name, self._help, labels=self._labels)

    def collect(self) -> Iterable[Metric]:
        """What a scrape gets."""
        family = HistogramMetricFamily(self._name, self._help, labels=self._labels)
        for values, series in list(self._series.items()):
            buckets = list(zip(self._shown, accumulate(series.counts), strict=True))
            family.add_metric(values, buckets, series.sum)
        yield family
