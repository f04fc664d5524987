"""The one connection to NATS, kept up in the background. The service starts, serves and stops without it.

What is said over it lives in `events.py` and `announcements.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

import nats.errors
import structlog
from nats.aio.client import Client

from model_registry.workers.ending import end
from model_registry.workers.nats_address import NatsAddress

log = structlog.get_logger(__name__)

OnConnect = Callable[[Client], Awaitable[None]]

FAILURES = (TimeoutError, nats.errors.Error, OSError)
"""What a connection that breaks raises, wherever one waits for it."""

_RETRY_SECONDS = 1.0
_RECONNECT_SECONDS: Any = 0.5  # declared as int, and only ever slept and compared with
_FLUSH_SECONDS = 1


class NatsLink:
    """Connects for ever; hands every new client to whoever asked for it."""

    def __init__(self, url: str, name: str) -> None:
        self._url = url
        self._name = name
        self._client: Client | None = None
        self._task: asyncio.Task[None] | None = None
        self._on_connect: list[OnConnect] = []
        self._told: set[str] = set()
        self._stopping = False
        self._shown = ""
        self.trouble = "not connected yet"
        """Why there was no connection, when there was none last."""

    @property
    def connected(self) -> bool:
        """Whether messages go out now."""
        return self._client is not None and self._client.is_connected

    @property
    def client(self) -> Client | None:
        """The client while it is connected."""
        return self._client if self.connected else None

    def when_connected(self, action: OnConnect) -> None:
        """Do this with every new client: subscribe, start consuming.

        A client and its subscriptions survive reconnects; a new one is made where the server sent the old one away.
        """
        self._on_connect.append(action)

    def start(self) -> None:
        """Begin connecting. Returns at once: a server that is down must not keep the service from starting."""
        self._task = asyncio.create_task(self._run(), name="nats-link")

    async def stop(self) -> None:
        """Stop connecting and close; what was published goes out first, for at most 1 s."""
        self._stopping = True
        if self.client is not None:
            with contextlib.suppress(*FAILURES):
                await self.client.flush(_FLUSH_SECONDS)
        await end(self._task)

    async def publish(self, subject: str, payload: bytes) -> bool:
        """Publish if connected; whether it was. Nothing is kept for later: everyone polls as well."""
        client = self.client
        if client is None:
            return False
        try:
            await client.publish(subject, payload)
        except FAILURES as error:
            log.warning("nats: not published", subject=subject, error=repr(error))
            return False
        return True

    async def _run(self) -> None:
        """One client after the other: nats-py reconnects by itself, but gives up when the server sends it away."""
        try:
            address = NatsAddress.parse(self._url)
        except ValueError as error:
            self.trouble = str(error)
            log.error("nats is not used", reason=self.trouble)  # noqa: TRY400 (the message says it all)
            return
        self._shown = str(address)
        while True:
            client, gone = Client(), asyncio.Event()
            try:
                await self._connect(client, address, gone)
                await gone.wait()
                self._note(client.last_error)
            except FAILURES as error:
                self._note(error)
            except Exception:  # the loop must outlive a bug in those who were handed the client
                log.exception("nats: failed unexpectedly; connecting again")
            finally:
                # Also when cancelled while connecting: an open socket must not outlive us.
                with contextlib.suppress(*FAILURES):
                    await client.close()
            await asyncio.sleep(_RETRY_SECONDS)

    async def _connect(self, client: Client, address: NatsAddress, gone: asyncio.Event) -> None:
        """Connect, for as long as it takes, and hand the client over. Sets `gone` when it is closed for good."""

        async def on_close() -> None:
            gone.set()

        credentials: dict[str, Any] = dict(address.credentials)
        await client.connect(
            list(address.servers),
            **credentials,
            name=self._name,
            connect_timeout=2,
            allow_reconnect=True,
            max_reconnect_attempts=-1,
            reconnect_time_wait=_RECONNECT_SECONDS,
            ping_interval=10,
            max_outstanding_pings=2,
            error_cb=self._on_error,
            disconnected_cb=self._on_disconnect,
            reconnected_cb=self._on_connected,
            closed_cb=on_close,
        )
        self._client = client
        await self._on_connected()
        for action in self._on_connect:
            await action(client)

    def _note(self, error: Exception | None) -> None:
        """What is wrong. Said once until all is well again, because it comes twice a second."""
        reason = str(error) or type(error).__name__
        if not self.connected:
            self.trouble = reason
        if reason not in self._told:
            self._told.add(reason)
            log.warning("nats: trouble; trying on", server=self._shown, reason=reason)

    async def _on_error(self, error: Exception) -> None:
        self._note(error)

    async def _on_disconnect(self) -> None:
        if not self._stopping:
            log.warning("nats connection lost", server=self._shown)

    async def _on_connected(self) -> None:
        self._told.clear()
        log.info("nats connected", server=self._shown)
