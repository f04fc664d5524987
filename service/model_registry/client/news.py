"""How the agent learns that something may have changed: by asking and waiting, or from NATS."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

from model_registry.messaging.login import NatsLogin

if TYPE_CHECKING:
    from nats.aio.client import Client

SUBJECT = "model.registry.updated.v1"


class NatsNews:
    """Listens in a thread of its own, for ever; connects again by itself. Without NATS nothing is lost but time."""

    def __init__(self, login: NatsLogin) -> None:
        from model_registry.messaging.link import NatsLink  # noqa: PLC0415 (needs nats-py: who names a server has it)

        self._heard = threading.Event()
        self._link = NatsLink(login, "model-registry sync", on_up=self._heard.set)
        threading.Thread(target=lambda: asyncio.run(self._listen()), daemon=True, name="nats").start()

    def wait(self, seconds: float) -> bool:
        """Wait for an announcement; whether there was one."""
        heard = self._heard.wait(seconds)
        self._heard.clear()
        return heard

    async def _listen(self) -> None:
        async def hear(*_: object) -> None:
            self._heard.set()

        async def subscribe(client: Client) -> None:
            await client.subscribe(SUBJECT, cb=hear)
            await client.flush()
            self._heard.set()  # what was said before we listened

        self._link.when_connected(subscribe)
        self._link.start()
        await asyncio.Event().wait()  # the link goes on by itself
