"""Open a connection: resolve the name, leave out the addresses that are refused, connect to one of the others."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Sequence

from model_registry.http11.addresses import IPAddress, Origin, literal_address
from model_registry.http11.connection import Connection
from model_registry.http11.errors import NotConnected

_MOST_LOOKUPS = 16
"""Names resolved at once. A name server that does not answer holds a thread for up to half a minute."""


class Dialler:
    """Opens connections."""

    def __init__(self, refuses: Callable[[IPAddress], str | None], ssl_context: ssl.SSLContext | None) -> None:
        """`refuses` gives the reason why an address must not be connected to. Without a context: the system's."""
        self._refuses = refuses
        self._ssl_context = ssl_context
        self._resolver = Resolver()

    async def dial(self, origin: Origin, seconds: float) -> Connection:
        """Connect to the first address that answers; each gets an equal share of the time left.

        Timeout: `seconds`, name and TLS included. Errors: NotConnected, with the reason of every address.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        addresses, reasons = self._allowed(await self._addresses(origin, seconds))
        tls = self._tls() if origin.scheme == "https" else None
        for place, address in enumerate(addresses):
            share = (deadline - loop.time()) / (len(addresses) - place)
            try:
                async with asyncio.timeout(share):
                    _, connection = await loop.create_connection(
                        Connection, str(address), origin.port, ssl=tls, server_hostname=origin.host if tls else None
                    )
            except TimeoutError:
                reasons.append(f"{address} port {origin.port} does not answer")
            except (OSError, ValueError) as error:  # ValueError: a name that no certificate could have
                reasons.append(f"{address} port {origin.port}: {getattr(error, 'strerror', None) or error}")
            else:
                return connection
        raise NotConnected("; ".join(reasons) or f"{origin.host} has no address")

    def close(self) -> None:
        """Give up what is being resolved."""
        self._resolver.close()

    async def _addresses(self, origin: Origin, seconds: float) -> Sequence[IPAddress]:
        try:
            async with asyncio.timeout(seconds):
                return await self._resolver.addresses(origin.host)
        except TimeoutError:
            raise NotConnected(f"the name {origin.host} was not resolved within {seconds:g} s") from None
        except (OSError, UnicodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise NotConnected(f"the name {origin.host} cannot be resolved: {reason}") from error

    def _allowed(self, addresses: Sequence[IPAddress]) -> tuple[list[IPAddress], list[str]]:
        allowed, reasons = [], []
        for address in addresses:
            reason = self._refuses(address)
            if reason is None:
                allowed.append(address)
            else:
                reasons.append(f"{reason}: refused")
        return allowed, reasons

    def _tls(self) -> ssl.SSLContext:
        if self._ssl_context is None:
            self._ssl_context = ssl.create_default_context()
            self._ssl_context.set_alpn_protocols(["http/1.1"])
        return self._ssl_context


class Resolver:
    """Resolves names in threads of its own, which keep nothing alive; one lookup for all who ask for the same name."""

    def __init__(self) -> None:
        self._lookups: dict[str, asyncio.Task[list[IPAddress]]] = {}
        self._turns = asyncio.Semaphore(_MOST_LOOKUPS)

    async def addresses(self, host: str) -> Sequence[IPAddress]:
        """All addresses of a host, the preferred first. Errors: OSError, UnicodeError. No time limit: cancel."""
        if (literal := literal_address(host)) is not None:
            return [literal]
        lookup = self._lookups.get(host)
        if lookup is None:
            lookup = self._lookups[host] = asyncio.create_task(self._look_up(host))
            lookup.add_done_callback(lambda done: self._forget(host, done))
        return await asyncio.shield(lookup)

    def close(self) -> None:
        """Let go of what is under way."""
        for lookup in self._lookups.values():
            lookup.cancel()

    def _forget(self, host: str, lookup: asyncio.Task[list[IPAddress]]) -> None:
        del self._lookups[host]
        if not lookup.cancelled():
            lookup.exception()  # all who asked may have left

    async def _look_up(self, host: str) -> list[IPAddress]:
        loop = asyncio.get_running_loop()
        found: asyncio.Future[list[IPAddress]] = loop.create_future()

        def settle(addresses: list[IPAddress], error: Exception | None) -> None:
            if found.done():
                return
            if error is None:
                found.set_result(addresses)
            else:
                found.set_exception(error)

        def resolve() -> None:
            addresses: list[IPAddress] = []
            failed: Exception | None = None
            try:
                addresses = _resolve(host)
            except (OSError, UnicodeError) as error:
                failed = error
            with contextlib.suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(settle, addresses, failed)

        async with self._turns:
            threading.Thread(target=resolve, name=f"resolve {host}", daemon=True).start()
            return await found


def _resolve(host: str) -> list[IPAddress]:
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    literals = (literal_address(str(sockaddr[0])) for *_, sockaddr in found)
    return list(dict.fromkeys(address for address in literals if address is not None))
