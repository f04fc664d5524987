"""`model.registry.updated.v1`: announces every change, and receives what other replicas announce.

A change is announced by the replica that made it, later when NATS is away; one made in SQL, which no replica made, by
every replica that sees it. A replica that dies between commit and announcement announces nothing: other replicas poll,
so they only learn of it later.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from datetime import datetime

import orjson
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg

from model_registry.entities.change import Change
from model_registry.messaging.connection import NatsConnection
from model_registry.messaging.subjects import UPDATED
from model_registry.snapshot.snapshot import Snapshot
from model_registry.store.registry import Registry

log = structlog.get_logger(__name__)

_ACTIONS = {"insert": "created", "update": "updated", "delete": "deleted"}
RESOURCES = {
    "model_providers": "provider",
    "model_categories": "category",
    "models": "model",
    "model_aliases": "alias",
    "functions": "function",
    "service_model_mappings": "mapping",
    "model_deployments": "deployment",
    "gpu_nodes": "node",
    "model_services": "model_service",
    "service_instances": "service_instance",
    "model_sources": "source",
    "source_answers": "source_answer",
    "gateways": "gateway",
    "config_sections": "config_section",
    "config_files": "config_file",
}
_LAST_SECONDS = 2
_RETRY_SECONDS = 0.5
_BACKLOG = 100_000
"""Announcements waiting for NATS; more than that, and the oldest are worth less than the memory."""


class ChangePublisher:
    """Publishes changes, and wakes the refresher for those of others."""

    def __init__(self, registry: Registry, link: NatsConnection, wake: Callable[[], None]) -> None:
        self._registry = registry
        self._link = link
        self._wake = wake
        self._waiting: asyncio.Queue[bytes] = asyncio.Queue(_BACKLOG)
        registry.stepped.observe(self._on_step)
        link.when_connected(self._subscribe)

    async def drain(self) -> None:
        """Wait until everything is sent, for at most 2 s; not at all while NATS is away."""
        if self._link.connected:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LAST_SECONDS):
                    await self._waiting.join()

    def _on_step(self, _before: Snapshot, _after: Snapshot, changes: Sequence[Change]) -> None:
        for change in changes:
            if change.origin in (None, self._registry.origin) and change.table in RESOURCES:
                if self._waiting.full():
                    self._waiting.get_nowait()
                    self._waiting.task_done()
                self._waiting.put_nowait(_message(change))

    async def run(self) -> None:
        """Publish one change after the other."""
        while True:
            message = await self._waiting.get()
            while not await self._link.publish(UPDATED, message):  # noqa: ASYNC110 (there is no event to wait for)
                await asyncio.sleep(_RETRY_SECONDS)
            self._waiting.task_done()

    async def _subscribe(self, client: Client) -> None:
        await client.subscribe(UPDATED, cb=self._received)
        self._wake()  # what was announced before we listened

    async def _received(self, message: Msg) -> None:
        if not self._registry.loaded or _revision(message.data) > self._registry.snapshot.revision:
            self._wake()


def _message(change: Change) -> bytes:
    return orjson.dumps(
        {
            "type": UPDATED,
            "action": _ACTIONS[change.operation],
            "resource_type": RESOURCES[change.table],
            "resource_id": change.row_id,
            "revision": change.revision,
            "ts": int(datetime.fromisoformat(change.at).timestamp()),
        }
    )


def _revision(payload: bytes) -> float:
    """The revision a message speaks of; one without it, or from someone else, always counts as news."""
    try:
        content = orjson.loads(payload)
    except ValueError:
        return float("inf")
    revision = content.get("revision") if isinstance(content, dict) else None
    return revision if isinstance(revision, int) else float("inf")
