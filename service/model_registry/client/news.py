"""How the agent learns that something may have changed, without asking: from NATS."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from typing import TYPE_CHECKING, Any

from model_registry.messaging.login import NatsLogin

if TYPE_CHECKING:
    from nats.aio.client import Client

log = logging.getLogger(__name__)

SUBJECT = "model.registry.updated.v1"


class NatsNews:
    """Listens in a thread of its own, for ever; connects again by itself. Without NATS nothing is lost but time."""

    revision = 0
    """The newest revision that was announced."""

    def __init__(self, login: NatsLogin) -> None:
        from model_registry.messaging.link import NatsLink  # noqa: PLC0415 (needs nats-py: who names a server has it)

        self._news = threading.Event()
        self._subscribed: Client | None = None
        self._link = NatsLink(login, "model-registry sync", on_up=self._news.set, on_down=self._news.set)
        threading.Thread(target=lambda: asyncio.run(self._listen()), daemon=True, name="nats").start()

    @property
    def hears(self) -> bool:
        """Whether announcements arrive now. What was announced before they did is worth a question."""
        client = self._link.client
        return client is not None and client is self._subscribed

    def wait(self, seconds: float) -> bool:
        """Wait for an announcement, or for announcements to begin or end to arrive; whether there was one."""
        told = self._news.wait(seconds)
        self._news.clear()
        return told

    async def _listen(self) -> None:
        self._link.when_connected(self._subscribe)
        self._link.start()
        await asyncio.Event().wait()  # the link goes on by itself

    async def _subscribe(self, client: Client) -> None:
        await client.subscribe(SUBJECT, cb=self._hear)
        await client.flush()
        self._subscribed = client
        self._news.set()
        log.info("hearing of changes from nats")

    async def _hear(self, message: Any) -> None:  # noqa: ANN401 (nats-py is not in the base install)
        self.revision = max(self.revision, _revision(message.data))
        self._news.set()


def _revision(payload: bytes) -> int:
    """The revision that a message speaks of; 0 when it is from someone else, and only a reason to ask."""
    try:
        content = json.loads(payload)
    except ValueError:
        return 0
    revision = content.get("revision") if isinstance(content, dict) else None
    return revision if isinstance(revision, int) else 0
