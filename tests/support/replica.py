"""A service in the test's own process: the real application with all its workers, called without a socket."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from asgi_lifespan import LifespanManager
from fastapi import FastAPI

from model_registry.api.app_state import AppState
from model_registry.app import create_app
from model_registry.messaging.pace import Pace
from model_registry.settings import Settings
from support.waiting import LONGEST

ADMIN_KEY = "an admin key for tests"


@dataclass(frozen=True)
class Replica:
    """A running service, and an administrator's client for it."""

    app: FastAPI
    client: httpx.AsyncClient

    @property
    def state(self) -> AppState:
        state: AppState = self.app.state.service
        return state

    def anonymous(self) -> httpx.AsyncClient:
        """A client without a key."""
        return httpx.AsyncClient(transport=self.client._transport, base_url=self.client.base_url)  # noqa: SLF001


QUICK = Pace(retry=0.1, reconnect=0.1, look_again=0.1)
"""Failed work is retried sooner than in production."""


@asynccontextmanager
async def running_replica(environment: dict[str, Any]) -> AsyncIterator[Replica]:
    """Start a service with these variables, and stop it."""
    app = await create_app(Settings(**{"MODEL_REGISTRY_API_KEY": ADMIN_KEY, **environment}), pace=QUICK)
    async with LifespanManager(app, startup_timeout=LONGEST, shutdown_timeout=LONGEST) as manager:
        transport = httpx.ASGITransport(app=manager.app, raise_app_exceptions=False)
        headers = {"Authorization": f"Bearer {ADMIN_KEY}"}
        async with httpx.AsyncClient(transport=transport, base_url="http://registry", headers=headers) as client:
            yield Replica(app, client)
