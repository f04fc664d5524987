"""How agents and clients learn from NATS that something may have changed, without asking."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from model_registry.messaging.login import NatsLogin
from model_registry.messaging.pace import USUAL, Pace
from model_registry.messaging.subjects import UPDATED

if TYPE_CHECKING:
    from nats.aio.client import Client

log = logging.getLogger(__name__)


class ChangeNotifier:
    """Listens in a thread of its own until it is closed; connects again by itself. Without NATS only time is lost.

    Args:
        login: where the server is, and how we get in.
        listener: called, in that thread, whenever there is news.
        pace: how soon it tries again.
    """

    revision = 0
    """The newest revision that was announced."""

    def __init__(self, login: NatsLogin, listener: Callable[[], object] = lambda: None, *, pace: Pace = USUAL) -> None:
        from model_registry.messaging.connection import NatsConnection  # noqa: PLC0415 (needs nats-py: who names a server has it)

        self._listener = listener
        self._news = threading.Event()
        self._loop, self._closed = asyncio.new_event_loop(), asyncio.Event()
        self._subscribed: Client | None = None
        self._link = NatsConnection(login, "model-registry client", on_up=self._tell, on_down=self._tell, pace=pace)
        threading.Thread(target=self._run, daemon=True, name="nats").start()

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

    def close(self) -> None:
        """Listen no more."""
        self._news.set()
        with suppress(RuntimeError):  # it has ended already
            self._loop.call_soon_threadsafe(self._closed.set)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._listen())

    async def _listen(self) -> None:
        self._link.when_connected(self._subscribe)
        self._link.start()
        await self._closed.wait()  # the link goes on by itself
        await self._link.stop()

    async def _subscribe(self, client: Client) -> None:
        await client.subscribe(UPDATED, cb=self._hear)
        await client.flush()
        self._subscribed = client
        self._tell()
        log.info("hearing of changes from nats")

    async def _hear(self, message: Any) -> None:  # noqa: ANN401 (nats-py is not in the base install)
        self.revision = max(self.revision, _revision(message.data))
        self._tell()

    def _tell(self) -> None:
        self._news.set()
        self._listener()


def _revision(payload: bytes) -> int:
    """The revision that a message speaks of; 0 when it is from someone else, and only a reason to ask."""
    try:
        content = json.loads(payload)
    except ValueError:
        return 0
    revision = content.get("revision") if isinstance(content, dict) else None
    return revision if isinstance(revision, int) else 0
