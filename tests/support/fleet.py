"""GPU nodes, which a registry cannot distinguish from real ones: a separate NATS client."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import nats
import orjson
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import ConsumerInfo

from model_registry.fleet.jetstream_setup import CONSUMER, STREAM
from model_registry.messaging.address import NatsAddress
from model_registry.messaging.subjects import LOADED, REJECTED, STATUS
from support.replica import Replica
from support.waiting import LONGEST, until


@dataclass
class Fleet:
    """Publishes what nodes publish, and sees what they see."""

    client: Client
    js: JetStreamContext
    stream: str = STREAM
    rejected: list[dict[str, Any]] = field(default_factory=list)
    """Messages of the registry on mesh.gpu.rejected.v1."""
    checks: int = 0
    """Number of `{"test": true}` messages published to find out whether everything is processed."""

    async def say(self, subject: str, payload: Any) -> None:
        """Publish like a node, without waiting for a confirmation."""
        await self.client.publish(subject, payload if isinstance(payload, bytes) else orjson.dumps(payload))

    async def load(self, model: str, *, node: str = "gpu-a", status: str = "loaded", **more: Any) -> None:
        """The documented form."""
        said = {"node_id": node, "provider_type": "ollama", "model_id": model, "status": status, **more}
        await self.say(LOADED, said)

    async def listen(self, statuses: list[dict[str, Any]]) -> None:
        """Append every status message published from now on to the list."""

        async def heard(message: Msg) -> None:
            statuses.append(orjson.loads(message.data))

        await self.client.subscribe(STATUS, cb=heard)
        await self.client.flush()

    async def consumer(self) -> ConsumerInfo:
        """The registry's consumer, as reported by the server."""
        info: ConsumerInfo = await self.js.consumer_info(self.stream, CONSUMER)
        return info

    async def settled(self, seconds: float = LONGEST) -> ConsumerInfo:
        """Wait until everything published so far is acknowledged: an event without a model comes after it, counted too.

        The number of pending messages is no criterion: the server reports it before it has read everything sent.
        """
        last = (await self.js.publish(LOADED, b'{"test": true}')).seq
        self.checks += 1

        async def look() -> ConsumerInfo | None:
            info = await self.consumer()
            return info if info.ack_floor is not None and info.ack_floor.stream_seq >= last else None

        found = await until(look, seconds)
        assert found is not None
        return found


@asynccontextmanager
async def fleet_on(url: str) -> AsyncIterator[Fleet]:
    """Nodes on this NATS server."""
    address = NatsAddress.parse(url)
    credentials: dict[str, Any] = dict(address.credentials)
    quick: dict[str, Any] = {"reconnect_time_wait": 0.05}
    client = await nats.connect(
        list(address.servers), **credentials, **quick, max_reconnect_attempts=-1, error_cb=_silent
    )
    fleet = Fleet(client, client.jetstream())

    async def heard(message: Msg) -> None:
        fleet.rejected.append(orjson.loads(message.data))

    await client.subscribe(REJECTED, cb=heard)
    await client.flush()
    try:
        yield fleet
    finally:
        await client.close()


async def consuming(*replicas: Replica) -> None:
    """Wait until these receive GPU events and report no problem."""
    for replica in replicas:
        await until(partial(nats_status, replica, "ok"))


async def nats_status(replica: Replica, status: str) -> str | None:
    """The entry for NATS in /readyz, once it has this status."""
    part = (await replica.client.get("/readyz")).json()["dependencies"]["nats"]
    return str(part["detail"]) if part["status"] == status else None


async def outcomes(*replicas: Replica) -> dict[str, int]:
    """Events by outcome from /metrics, summed over these replicas."""
    found: dict[str, int] = {}
    for replica in replicas:
        for line in (await replica.client.get("/metrics")).text.splitlines():
            if line.startswith("model_registry_events_total{"):
                outcome = line.split('"')[1]
                found[outcome] = found.get(outcome, 0) + int(float(line.rsplit(" ", 1)[1]))
    return found


async def _silent(_error: Exception) -> None:
    """Print nothing about a server that a test has killed."""
