"""Notifies agents and clients of changes announced on NATS, so that they poll at once. Polling itself is elsewhere."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from model_registry.messaging.login import NatsLogin
from model_registry.messaging.subjects import UPDATED

if TYPE_CHECKING:
    from nats.aio.client import Client

    from model_registry.messaging.connection import Pace

log = logging.getLogger(__name__)


class ChangeNotifier:
    """Listens in its own thread until closed; reconnects by itself. Without NATS, changes are only noticed later.

    Args:
        login: the server's address and credentials.
        listener: called in that thread on every announcement, connection and disconnection.
        pace: intervals between attempts.
    """

    revision = 0
    """The newest announced revision."""

    def __init__(
        self, login: NatsLogin, listener: Callable[[], object] = lambda: None, *, pace: Pace | None = None
    ) -> None:
        from model_registry.messaging.connection import USUAL, NatsConnection  # noqa: PLC0415 (nats-py is optional)

        self._listener = listener
        self._news = threading.Event()
        self._loop, self._closed = asyncio.new_event_loop(), asyncio.Event()
        self._subscribed: Client | None = None
        self._link = NatsConnection(
            login, "model-registry client", on_up=self._notify, on_down=self._notify, pace=pace or USUAL
        )
        threading.Thread(target=self._run, daemon=True, name="nats").start()

    @property
    def receiving(self) -> bool:
        """Whether announcements arrive now. Poll once after it becomes true: earlier ones were missed."""
        client = self._link.client
        return client is not None and client is self._subscribed

    def wait(self, seconds: float) -> bool:
        """Wait for an announcement, or for a connection to be made or lost. Return False on timeout."""
        notified = self._news.wait(seconds)
        self._news.clear()
        return notified

    def close(self) -> None:
        """Stop listening."""
        self._news.set()
        with suppress(RuntimeError):  # the loop has ended already
            self._loop.call_soon_threadsafe(self._closed.set)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._listen())

    async def _listen(self) -> None:
        self._link.when_connected(self._subscribe)
        self._link.start()
        await self._closed.wait()  # the connection works by itself
        await self._link.stop()

    async def _subscribe(self, client: Client) -> None:
        await client.subscribe(UPDATED, cb=self._receive)
        await client.flush()
        self._subscribed = client
        self._notify()
        log.info("subscribed to changes on nats")

    async def _receive(self, message: Any) -> None:  # noqa: ANN401 (nats-py is not in the base install)
        self.revision = max(self.revision, _revision(message.data))
        self._notify()

    def _notify(self) -> None:
        self._news.set()
        self._listener()


def _revision(payload: bytes) -> int:
    """Return the announced revision; 0 for a message in another format, which is only a reason to poll."""
    try:
        content = json.loads(payload)
    except ValueError:
        return 0
    revision = content.get("revision") if isinstance(content, dict) else None
    return revision if isinstance(revision, int) else 0
