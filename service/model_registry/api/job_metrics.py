"""Instruments of jobs: how many this replica works on, by phase, and how those ended that it worked on."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from model_registry.entities.service_job import ENDED, STATUS_OF
from model_registry.services.jobs.jobs import Jobs


class JobMetrics(Collector):
    """As this replica knows them."""

    def __init__(self, collected: CollectorRegistry, jobs: Jobs) -> None:
        self._jobs = jobs
        self._ended = Counter(
            "model_registry_jobs_ended_total",
            "Jobs that this replica brought to an end, by outcome.",
            ["outcome"],
            registry=collected,
        )
        for outcome in ENDED:
            self._ended.labels(outcome)
        jobs.ended.observe(lambda job: self._ended.labels(job.status).inc())
        collected.register(self)

    def collect(self) -> Iterable[Metric]:
        """The jobs at the moment of the scrape."""
        gauge = GaugeMetricFamily("model_registry_jobs", "Jobs that this replica works on, by phase.", labels=["phase"])
        numbers = Tally(job.phase for job in self._jobs.running())
        for phase, status in STATUS_OF.items():
            if status not in ENDED:
                gauge.add_metric([phase], numbers[phase])
        yield gauge
