"""The one connection to NATS, kept up in the background. Its owner starts, works and stops without the server.

Formats of messages are not here.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import nats.errors
from nats.aio.client import Client

from model_registry.messaging.login import NatsLogin

log = logging.getLogger(__name__)

OnConnect = Callable[[Client], Awaitable[None]]

FAILURES = (TimeoutError, nats.errors.Error, OSError)
"""Exceptions of a broken connection, at any await."""

_FLUSH_SECONDS = 1
_CLOSE_SECONDS = 1
_CANCEL_AGAIN_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds until a failure is retried, and between looks for a better plan."""

    retry: float = 1.0
    reconnect: float = 0.5
    look_again: float = 5.0


USUAL = Pace()


class NatsConnection:
    """Keeps connecting; passes every new client to the actions given to `when_connected`."""

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
        """Call `on_up` on every connection (messages may have been missed before), `on_down` on every loss.

        Without `echo`, this connection's subscriptions do not receive its own messages.
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
        self._logged: set[str] = set()
        self._stopping = False
        self._shown = ""
        self.trouble = "not connected yet"
        """Why the connection failed last."""

    @property
    def connected(self) -> bool:
        """Whether messages can be published now."""
        return self._client is not None and self._client.is_connected

    @property
    def client(self) -> Client | None:
        """The client, while it is connected."""
        return self._client if self.connected else None

    def when_connected(self, action: OnConnect) -> None:
        """Run an action with every new client, such as subscribing.

        A client and its subscriptions survive reconnects; a new one is made when the server rejects the old one.
        """
        self._on_connect.append(action)

    def start(self) -> None:
        """Begin connecting. Return at once: the service must start even when the server is down."""
        self._task = asyncio.create_task(self.run(), name="nats-link")

    async def stop(self) -> None:
        """Stop connecting and close, after flushing published messages for at most 1 s."""
        await self.flush()
        await cancel(self._task)

    async def flush(self) -> None:
        """Send what was published, for at most 1 s: the connection is about to be closed."""
        self._stopping = True
        if self.client is not None:
            with contextlib.suppress(*FAILURES):
                await self.client.flush(_FLUSH_SECONDS)

    async def publish(self, subject: str, payload: bytes) -> bool:
        """Publish if connected, and return whether it was. Nothing is queued for later: subscribers poll as well."""
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
        """Use one client after the other: nats-py reconnects by itself, but gives up when the server rejects it."""
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
            except Exception:  # the loop must survive bugs in the actions
                log.exception("nats: failed unexpectedly; reconnecting")
            finally:
                # Also when cancelled while connecting: no socket may stay open.
                with contextlib.suppress(*FAILURES):
                    async with asyncio.timeout(_CLOSE_SECONDS):  # nats-py may wait for ever, see `_callbacks`
                        await client.close()
            await asyncio.sleep(self.pace.retry)

    async def _connect(self, client: Client, gone: asyncio.Event) -> None:
        """Connect, and run the actions. Set `gone` when a new client is needed."""
        await client.connect(**self._options(), **self._callbacks(client, gone))
        self._client = client
        self._note_connected()
        for action in self._on_connect:
            await action(client)

    def _callbacks(self, client: Client, gone: asyncio.Event) -> dict[str, Any]:
        """Return callbacks that note the state of the connection, and set `gone` when a new client is needed.

        A client keeps trying while no server answers. A rejected one is replaced: keys and certificates may have been
        renewed, and the next client reads them anew. (nats-py would go on with the old ones, leak sockets, and wait for
        the end of a TLS connection that never began.)
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
            self._note_connected()

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

        return {
            "error_cb": on_error,
            "disconnected_cb": on_disconnect,
            "reconnected_cb": on_reconnect,
            "closed_cb": on_close,
        }

    def _options(self) -> dict[str, Any]:
        try:
            login = self._login.options()
        except (ValueError, ModuleNotFoundError) as error:  # a file that may be corrected at any time
            raise nats.errors.Error(str(error)) from None
        return login | {
            "name": self._name,
            "no_echo": not self._echo,
            "connect_timeout": 2,
            "allow_reconnect": True,
            "max_reconnect_attempts": -1,
            "reconnect_time_wait": self.pace.reconnect,
            "ping_interval": 10,
            "max_outstanding_pings": 2,
        }

    def _note(self, error: Exception) -> None:
        """Note a failure. Log it once until the connection is restored: it recurs twice a second."""
        reason = str(error) or type(error).__name__
        if not self.connected:
            self.trouble = reason
        if reason not in self._logged:
            self._logged.add(reason)
            log.warning("nats: trouble with %s; retrying: %s", self._shown, reason)

    def _note_connected(self) -> None:
        self._logged.clear()
        log.info("nats connected: %s", self._shown)
        self._on_up()


async def cancel(task: asyncio.Task[Any] | None) -> None:
    """Cancel a task, and wait until it has ended.

    Cancels repeatedly: `asyncio.wait_for` of Python 3.11, which nats-py uses, swallows a cancellation that arrives
    together with the awaited result.
    """
    while task is not None and not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=_CANCEL_AGAIN_SECONDS)


def _unanswered(error: Exception) -> bool:
    """Whether no server has answered yet: then the same client may try again."""
    answers = (ssl.SSLError, ConnectionResetError, TimeoutError)
    return isinstance(error, OSError) and not isinstance(error, answers)


class _PrivateClient(Client):
    """Refuses a server that offers no TLS: nats-py would go on unencrypted, and send it the password."""

    def _connect_command(self) -> bytes:
        if not self._server_info.get("tls_required"):
            raise nats.errors.Error("the server offers no TLS, and the settings ask for it")
        command: bytes = super()._connect_command()
        return command
