"""What the parts of the HTTP side share, made once by `app.py` and found on the request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Request

from model_registry.catalog.model_index import ModelIndexes
from model_registry.settings import Settings
from model_registry.store.heartbeats import Heartbeats
from model_registry.store.history import History
from model_registry.store.registry import Registry
from model_registry.store.rejections import Rejections

if TYPE_CHECKING:
    from model_registry.api.auth import Authenticator
    from model_registry.api.check_slots import CheckSlots
    from model_registry.api.configuration import Configuration
    from model_registry.api.long_work import LongWork
    from model_registry.api.metrics import Metrics
    from model_registry.workers.events import EventConsumer
    from model_registry.workers.judge import ConfigurationJudge
    from model_registry.workers.silence import SilenceWatch
    from model_registry.workers.waiters import Waiters


@dataclass(frozen=True, slots=True)
class State:
    """One running service, as its routes see it."""

    settings: Settings
    registry: Registry
    history: History
    authenticator: Authenticator
    metrics: Metrics
    configuration: Configuration
    judge: ConfigurationJudge
    checks: CheckSlots
    """The checks that callers ask for."""
    indexes: ModelIndexes
    steps: Waiters
    """Told of every step of the registry."""
    events: EventConsumer | None
    silence: SilenceWatch | None
    heartbeats: Heartbeats
    rejections: Rejections
    work: LongWork

    def release(self) -> None:
        """Let everybody go who waits for news or for work that lasts: the service is about to stop."""
        self.work.close()
        self.judge.release()
        self.checks.close()
        self.steps.release()


async def state_of(request: Request) -> State:  # async, or FastAPI would run it in a thread
    """The service that this request came to."""
    state: State = request.app.state.service
    return state


Service = Annotated[State, Depends(state_of)]
