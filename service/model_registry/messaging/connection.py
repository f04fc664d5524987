"""The one connection to NATS, kept up in the background. Whoever has it starts, works and stops without the server.

What is said over it is not here.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections.abc import Awaitable, Callable
from typing import Any

import nats.errors
from nats.aio.client import Client

from model_registry.messaging.cancel import cancel
from model_registry.messaging.login import NatsLogin
from model_registry.messaging.pace import USUAL, Pace

log = logging.getLogger(__name__)

OnConnect = Callable[[Client], Awaitable[None]]

FAILURES = (TimeoutError, nats.errors.Error, OSError)
"""What a connection that breaks raises, wherever one waits for it."""

_FLUSH_SECONDS = 1
_CLOSE_SECONDS = 1


class NatsConnection:
    """Connects for ever; hands every new client to whoever asked for it."""

    def __init__(  # noqa: PLR0913 (all but two are named and optional)
        self,
        login: NatsLogin,
        name: str,
        *,
        on_up: Callable[[], None] = lambda: None,
        on_down: Callable[[], None] = lambda: None,
        echo: bool = True,
        pace: Pace = USUAL,
    ) -> None:
        """`on_up` is called whenever messages go out again: some may have been missed. `on_down`: when they do not.

        Without `echo`, subscriptions of this connection do not hear what it publishes itself.
        """
        self._login = login
        self._on_up = on_up
        self._on_down = on_down
        self._echo = echo
        self.pace = pace
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
        self._task = asyncio.create_task(self.run(), name="nats-link")

    async def stop(self) -> None:
        """Stop connecting and close; what was published goes out first, for at most 1 s."""
        await self.flush()
        await cancel(self._task)

    async def flush(self) -> None:
        """Send what was published, for at most 1 s: the connection is about to be closed."""
        self._stopping = True
        if self.client is not None:
            with contextlib.suppress(*FAILURES):
                await self.client.flush(_FLUSH_SECONDS)

    async def publish(self, subject: str, payload: bytes) -> bool:
        """Publish if connected; whether it was. Nothing is kept for later: everyone polls as well."""
        client = self.client
        if client is None:
            return False
        try:
            await client.publish(subject, payload)
        except FAILURES as error:
            log.warning("nats: %s not published: %r", subject, error)
            return False
        return True

    async def run(self) -> None:
        """One client after the other: nats-py reconnects by itself, but gives up when the server sends it away."""
        try:
            self._shown = str(self._login.address)
        except ValueError as error:
            self.trouble = str(error)
            log.error("nats is not used: %s", self.trouble)  # noqa: TRY400 (the message says it all)
            return
        while True:
            client, gone = _PrivateClient() if self._login.encrypted else Client(), asyncio.Event()
            try:
                await self._connect(client, gone)
                await gone.wait()
                if client.last_error is not None:
                    self._note(client.last_error)
            except FAILURES as error:
                self._note(error)
            except Exception:  # the loop must outlive a bug in those who were handed the client
                log.exception("nats: failed unexpectedly; connecting again")
            finally:
                # Also when cancelled while connecting: an open socket must not outlive us.
                with contextlib.suppress(*FAILURES):
                    async with asyncio.timeout(_CLOSE_SECONDS):  # nats-py may wait for ever, see `_connect`
                        await client.close()
            await asyncio.sleep(self.pace.retry)

    async def _connect(self, client: Client, gone: asyncio.Event) -> None:
        """Connect, and hand the client over. Sets `gone` when there has to be another one.

        A client waits for as long as nobody answers. One that is refused has to go: keys and certificates may have been
        renewed, and the next one reads them anew. (nats-py would go on with the old ones, forget open sockets, and wait
        for the end of a TLS connection that never began.)
        """
        lost = False

        async def on_disconnect() -> None:
            nonlocal lost
            lost = True
            self._on_down()
            if not self._stopping:
                log.warning("nats connection lost: %s", self._shown)

        async def on_reconnect() -> None:
            nonlocal lost
            lost = False
            self._say_connected()

        async def on_error(error: Exception) -> None:
            self._note(error)
            if _unanswered(error):
                return
            if lost:
                gone.set()
            elif self._client is not client:
                raise error

        async def on_close() -> None:
            self._on_down()
            gone.set()

        reconnect: Any = self.pace.reconnect  # declared as int, and only ever slept and compared with
        await client.connect(
            **self._options(),
            name=self._name,
            no_echo=not self._echo,
            connect_timeout=2,
            allow_reconnect=True,
            max_reconnect_attempts=-1,
            reconnect_time_wait=reconnect,
            ping_interval=10,
            max_outstanding_pings=2,
            error_cb=on_error,
            disconnected_cb=on_disconnect,
            reconnected_cb=on_reconnect,
            closed_cb=on_close,
        )
        self._client = client
        self._say_connected()
        for action in self._on_connect:
            await action(client)

    def _options(self) -> dict[str, Any]:
        try:
            return self._login.options()
        except (ValueError, ModuleNotFoundError) as error:  # a file that somebody is about to put right
            raise nats.errors.Error(str(error)) from None

    def _note(self, error: Exception) -> None:
        """What is wrong. Said once until all is well again, because it comes twice a second."""
        reason = str(error) or type(error).__name__
        if not self.connected:
            self.trouble = reason
        if reason not in self._told:
            self._told.add(reason)
            log.warning("nats: trouble with %s; trying on: %s", self._shown, reason)

    def _say_connected(self) -> None:
        self._told.clear()
        log.info("nats connected: %s", self._shown)
        self._on_up()


def _unanswered(error: Exception) -> bool:
    """Whether nobody has answered yet: then the same client may try again."""
    answers = (ssl.SSLError, ConnectionResetError, TimeoutError)
    return isinstance(error, OSError) and not isinstance(error, answers)


class _PrivateClient(Client):
    """Says nothing to a server that offers no TLS: nats-py goes on in the clear, and would send it the password."""

    def _connect_command(self) -> bytes:
        if not self._server_info.get("tls_required"):
            raise nats.errors.Error("the server offers no TLS, and the settings ask for it")
        command: bytes = super()._connect_command()
        return command
