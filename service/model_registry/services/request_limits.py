"""How often, how long and how requests to a model service are sent: as its row says, else the registry's settings."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from model_registry.entities.model_service import ModelService, ServiceInstance, Strategy
from model_registry.entities.service_capabilities import CAPABILITIES, TRAINING
from model_registry.settings import Settings

QUEUE_LENGTH = 100
QUEUE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """The limits of one model service."""

    strategy: Strategy
    most_tries: int
    queue: int
    queue_seconds: float
    _timeouts: dict[str, float]
    _repeatable: frozenset[str]
    _seconds: float

    def seconds(self, capability: str) -> float:
        """Limit of one try: what the model service says of the capability, else the longest of its instances'."""
        if capability in self._timeouts:
            return self._timeouts[capability]
        known = CAPABILITIES.get(capability)
        return max(self._seconds, known.least_seconds if known else 0.0)

    def repeatable(self, capability: str) -> bool:
        """Whether a request may be sent to another instance after one that failed. Training never is."""
        return capability in self._repeatable


def request_limits(row: ModelService, instances: Iterable[ServiceInstance], settings: Settings) -> RequestLimits:
    """Return the limits of a model service."""
    seconds = [instance.timeout_seconds for instance in instances if instance.timeout_seconds is not None]
    usual = [name for name, capability in CAPABILITIES.items() if capability.repeatable]
    strategy: Strategy = row.strategy or settings.balancing  # type: ignore[assignment] # a constraint of the column
    return RequestLimits(
        strategy=strategy,
        most_tries=row.most_tries or settings.most_retries + 1,
        queue=QUEUE_LENGTH if row.queue_length is None else row.queue_length,
        queue_seconds=QUEUE_SECONDS if row.queue_seconds is None else row.queue_seconds,
        _timeouts=row.timeouts,
        _repeatable=frozenset(usual if row.repeatable is None else row.repeatable) - {TRAINING},
        _seconds=max(seconds, default=settings.service_timeout),
    )
