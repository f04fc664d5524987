"""Our histograms show what prometheus_client's own show."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Histogram, generate_latest

from model_registry.api.durations import DurationHistogram

BOUNDS = (0.0005, 0.1, 1, 600)
SECONDS = (0.0, 0.0005, 0.0006, 0.1, 0.5, 600.0, 601.0)


def shown(collected: CollectorRegistry) -> list[str]:
    return [line for line in generate_latest(collected).decode().splitlines() if "_created" not in line]


def test_the_same_lines_as_prometheus_client() -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    mine = DurationHistogram("seconds", "Help.", ["route"], BOUNDS, ours)
    reference = Histogram("seconds", "Help.", ["route"], buckets=BOUNDS, registry=theirs)
    for route in ("/a", '/"b"'):
        for seconds in SECONDS:
            mine.labels(route).observe(seconds)
            reference.labels(route).observe(seconds)
    assert shown(ours) == shown(theirs)


def test_one_without_labels_is_there_before_it_is_used() -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    DurationHistogram("seconds", "Help.", [], BOUNDS, ours)
    Histogram("seconds", "Help.", [], buckets=BOUNDS, registry=theirs)
    assert shown(ours) == shown(theirs)
