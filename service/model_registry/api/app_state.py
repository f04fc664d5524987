"""What the parts of the HTTP side share, made once by `app.py` and found on the request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Request

from model_registry.selection.model_index import ModelIndexes
from model_registry.services.model_services import ModelServices
from model_registry.settings import Settings
from model_registry.store.fleet_records import Heartbeats
from model_registry.store.history import History
from model_registry.store.registry import Registry

if TYPE_CHECKING:
    from model_registry.api.auth import Authenticator
    from model_registry.api.check_slots import CheckSlots
    from model_registry.api.dispatch.metrics import DispatchMetrics
    from model_registry.api.long_work import LongWork
    from model_registry.api.metrics import Metrics
    from model_registry.discovery.discovery import Discovery
    from model_registry.fleet.event_consumer import EventConsumer
    from model_registry.fleet.liveness import NodeLiveness
    from model_registry.gateways.publishing.publisher import ConfigPublisher
    from model_registry.gateways.publishing.publishers import GatewayPublishers
    from model_registry.services.dispatch.dispatcher import Dispatcher
    from model_registry.services.dispatch.language_models import LanguageModels
    from model_registry.services.jobs.jobs import Jobs


@dataclass(frozen=True, slots=True)
class AppState:
    """One running service, as its routes see it."""

    settings: Settings
    registry: Registry
    history: History
    authenticator: Authenticator
    metrics: Metrics
    publishers: GatewayPublishers
    checks: CheckSlots
    """The checks that callers ask for."""
    indexes: ModelIndexes
    events: EventConsumer | None
    liveness: NodeLiveness | None
    service_messages: EventConsumer | None
    heartbeats: Heartbeats
    model_services: ModelServices
    dispatcher: Dispatcher
    dispatch_metrics: DispatchMetrics
    jobs: Jobs
    language_models: LanguageModels
    work: LongWork
    discovery: Discovery

    @property
    def publisher(self) -> ConfigPublisher:
        """That of the gateway which is there from the start."""
        return self.publishers.default

    def release(self) -> None:
        """Let every request go that waits for a change or for long work: the service is about to stop."""
        self.work.close()
        self.publishers.release()
        self.checks.close()
        self.registry.stepped.release()
        self.jobs.release()


async def state_of(request: Request) -> AppState:  # async, or FastAPI would run it in a thread
    """The service that this request came to."""
    state: AppState = request.app.state.service
    return state


CurrentApp = Annotated[AppState, Depends(state_of)]
