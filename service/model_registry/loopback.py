"""Which addresses are this machine's own loopback. Pure; opens no connection."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit


def is_loopback(url: str) -> bool:
    """Whether a URL leads to this machine alone.

    An HTTP client of ours takes proxies from the environment (httpx's `trust_env`) unless this is so: a proxy would
    look for the server on the proxy's own machine.
    """
    try:
        host = urlsplit(url).hostname or ""
        address = None if host == "localhost" else ip_address(host)
    except ValueError:
        return False  # another name; what is no address at all is reported when it is used
    return address is None or address.is_loopback or address.is_unspecified  # connecting to 0.0.0.0 stays here too
