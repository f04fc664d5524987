"""A registry that dispatches, on a socket of its own, with model services in its tables."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from model_registry.api.http_protocol import Arrivals
from model_registry.entities.change import Operation
from support.raw_http import listening
from support.replica import ADMIN_KEY, Replica

ALL = ["prediction", "multistep_prediction", "forecasting", "training"]


@dataclass(frozen=True)
class Dispatching:
    """A replica that listens, and an administrator's client for it."""

    replica: Replica
    port: int
    client: httpx.AsyncClient

    async def service(self, model_type: str = "LSTM", **fields: Any) -> str:
        """Add a model service. Returns its id."""
        row_id = str(uuid.uuid4())
        await self._write("model_services", row_id, {"model_type": model_type, **fields})
        return row_id

    async def instance(self, service: str, service_id: str, url: str, **fields: Any) -> None:
        """Add an instance to it. It is not probed: what is known of it comes from requests alone."""
        row: dict[str, Any] = {"service_id": service_id, "model_service_id": service, "service_url": url}
        row |= {"capabilities": ALL, "health": {"check": "none"}, **fields}
        await self._write("service_instances", str(uuid.uuid4()), row)

    async def _write(self, table: str, row_id: str, row: dict[str, Any]) -> None:
        await self.replica.state.registry.write([Operation(table, "insert", row_id, row)], actor="test")


@asynccontextmanager
async def dispatching(replica: Replica, arrivals: Arrivals | None = None) -> AsyncIterator[Dispatching]:
    """Let a replica listen."""
    headers = {"Authorization": f"Bearer {ADMIN_KEY}"}
    async with (
        listening(replica.app, arrivals or Arrivals(1000)) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=20) as client,
    ):
        yield Dispatching(replica, port, client)
