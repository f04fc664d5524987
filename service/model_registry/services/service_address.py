"""Which addresses an instance may be registered under: none that makes the registry ask what it must not.

What a name resolves to is looked at when it is registered, so that who registers learns of it; and again at every
connection, which goes to the address that was looked at (`http11/`), so a name that is pointed elsewhere later opens
nothing.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Sequence
from urllib.parse import urlsplit

from model_registry.errors import Reason, UnsafeAddress
from model_registry.http11.addresses import IPAddress, Origin, literal_address, refusal_of

_NAME = re.compile(r"(?=.{1,253}\Z)([A-Za-z0-9_-]{1,63}\.)*[A-Za-z0-9_-]{1,63}\.?")
RESOLVE_SECONDS = 3.0
"""For a name at its registration. One that does not resolve yet may be registered: it is offline until it does."""


async def checked_url(url: str, own_port: int) -> str:
    """Return a URL without slashes at its end; `own_port` is where this registry listens.

    Takes `RESOLVE_SECONDS` at most. Errors: UnsafeAddress, with the reason.
    """
    origin, base = _parsed(url)
    for address in await _addresses(origin):
        if refused := refusal_of(address) or _no_server(address):
            raise _unsafe(f"{refused}: requests to it would not reach a model service")
        if origin.port == own_port and _is_own(address):
            raise _unsafe(f"it is the address of this registry ({address} port {own_port}): requests would come back")
    return base


def _parsed(url: str) -> tuple[Origin, str]:
    """The server, and the URL without slashes at its end. Errors: UnsafeAddress."""
    if not url.isascii() or any(character <= " " or character in '\x7f\\"<>^`{|}' for character in url):
        raise _unsafe("it is no URL in ASCII without spaces")
    try:
        origin, parts = Origin.of(url), urlsplit(url)
    except ValueError as error:
        raise _unsafe(str(error)) from error
    if parts.query or parts.fragment or "?" in url or "#" in url:
        raise _unsafe("it has a query or a fragment; paths are appended to it")
    if literal_address(origin.host) is None and not _NAME.fullmatch(origin.host):
        raise _unsafe(f"{origin.host[:80]!r} is neither a name of a host nor an address")
    return origin, url.rstrip("/")


async def _addresses(origin: Origin) -> Sequence[IPAddress]:
    """What the host is, or resolves to; nothing when it does not resolve."""
    literal = literal_address(origin.host)
    if literal is not None:
        return [literal]
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(RESOLVE_SECONDS):
            found = await loop.getaddrinfo(origin.host, origin.port, type=socket.SOCK_STREAM)
    except (OSError, TimeoutError, UnicodeError):
        return []
    return [address for *_, place in found if (address := literal_address(str(place[0]))) is not None]


def _no_server(address: IPAddress) -> str | None:
    if address.is_multicast or str(address) == "255.255.255.255":
        return f"{address} is no address of one server"
    return f"{address} is the address of no machine in particular" if address.is_unspecified else None


def _is_own(address: IPAddress) -> bool:
    """Whether the address is one of this machine's: only to those can a socket be bound."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6  # noqa: PLR2004 (of the protocol)
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((str(address), 0))
    except OSError:
        return False
    return True


def _unsafe(clause: str) -> UnsafeAddress:
    return UnsafeAddress(f"service_url cannot be used: {clause}.", reasons=[Reason("service_url", clause)])
