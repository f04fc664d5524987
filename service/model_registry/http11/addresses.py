"""Which server a URL means, and which addresses nobody may make us connect to. Pure.

A name is as good as what it resolves to when the connection is made, and the connection goes to that very address:
`dialling.py` asks here. What takes URLs from people asks here too, for those that are addresses already.
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import NamedTuple
from urllib.parse import urlsplit

IPAddress = IPv4Address | IPv6Address

_PORTS = {"http": 80, "https": 443}
_METADATA: dict[IPAddress | None, str] = {
    ip_address(address): f"the metadata service of {cloud}"
    for address, cloud in {
        "169.254.169.254": "a cloud",
        "169.254.170.2": "Amazon's containers",
        "fd00:ec2::254": "AWS",
        "fd00:ec2::23": "Amazon's containers",
        "fd20:ce::254": "Google Cloud",
        "168.63.129.16": "Azure",
        "100.100.100.200": "Alibaba Cloud",
        "192.0.0.192": "Oracle Cloud",
        "fd00:42::42": "Scaleway",
    }.items()
}
"""Unauthenticated, and they hand out the machine's credentials."""
_EMBEDDING = [
    ip_network(prefix) for prefix in ("::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48")
]
"""IPv6 networks whose addresses end with an IPv4 address, to which the system or a translator connects."""


class Origin(NamedTuple):
    """A server: what connections are kept for."""

    scheme: str
    host: str
    """A name or an address, the latter without brackets; in lower case."""
    port: int

    @classmethod
    def of(cls, url: str) -> Origin:
        """The server of an http or https URL. Errors: ValueError, with what is wrong as a clause."""
        parts = urlsplit(url)
        scheme = parts.scheme.lower()
        if scheme not in _PORTS:
            raise ValueError("it does not begin with http:// or https://")
        if not parts.hostname:
            raise ValueError("it names no host")
        if parts.username is not None or parts.password is not None:
            raise ValueError("it contains credentials")
        if parts.port == 0:
            raise ValueError("it names port 0")
        return cls(scheme, parts.hostname, parts.port or _PORTS[scheme])

    @property
    def authority(self) -> bytes:
        """The value of the Host header."""
        return _authority(self)


@lru_cache(maxsize=1024)
def _authority(origin: Origin) -> bytes:
    host = f"[{origin.host}]" if ":" in origin.host else origin.host
    named = host.encode("ascii") if host.isascii() else host.encode("idna")
    return named if origin.port == _PORTS[origin.scheme] else b"%b:%d" % (named, origin.port)


def refusal_of(address: IPAddress) -> str | None:
    """Why this address must not be connected to; None when it may be.

    Refused are link-local addresses and the metadata services of clouds, in IPv4 embedded in IPv6 too. Private and
    loopback addresses are where a team's model servers are.
    """
    plain = type(address)(int(address))  # without a zone, which would make it another one
    for meant in (plain, _embedded(plain)):
        if meant in _METADATA:
            return f"{address} is {_METADATA[meant]}"
        if meant is not None and meant.is_link_local:
            return f"{address} is link-local"
    return None


def literal_address(host: str) -> IPAddress | None:
    """The address that a host already is; None for a name."""
    try:
        return ip_address(host)
    except ValueError:
        return None


def _embedded(address: IPAddress) -> IPv4Address | None:
    if isinstance(address, IPv4Address):
        return None
    if any(address in network for network in _EMBEDDING):
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.sixtofour
