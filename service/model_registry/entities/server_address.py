"""Where a server is, in one spelling: the same server has the same address, however its URL is written. Pure.

The database has the same rule, `server_address` in schema/24_link_rule.sql; a test compares the two.
"""

from __future__ import annotations

import re
from functools import lru_cache

from model_registry.entities.model_name import ascii_lower

_PARTS = re.compile(
    r"(?:([A-Za-z][A-Za-z0-9+.-]*)://)?(?:[^/?#@]*@)?(\[[0-9A-Fa-f:.]+\]|[^\]/?#@:\[ ]+)"
    r"(?::([0-9]{1,5}))?(/[^?#]*)?(?:[?#].*)?",
    re.DOTALL,
)
_LOOPBACK = re.compile(r"localhost|127\.[0-9.]+|0\.0\.0\.0|\[(0{0,4}:){2,7}0{0,3}[01]?\]")
_UNSPECIFIED = re.compile(r"0\.0\.0\.0|\[(0{0,4}:){2,7}0{0,4}\]")
_PLAIN = re.compile(r"[^?#@]*")
_V1 = re.compile(r"(/+v1)?/*\Z")


@lru_cache(maxsize=4096)
def server_address(url: str | None) -> str | None:
    """Return `host:port/path`, without `/v1` at its end; None when it is no URL.

    Case, the scheme, a default port and slashes at the end do not count. Every name of a loopback is `localhost`.
    """
    parts = _PARTS.fullmatch(url or "")
    if parts is None:
        return None
    scheme, host = ascii_lower(parts[1] or ""), ascii_lower(parts[2]).rstrip(".")
    if not host:
        return None
    host = "localhost" if _LOOPBACK.fullmatch(host) else host
    port = (parts[3] or "").lstrip("0") or ("443" if scheme in {"https", "wss"} else "80")
    return f"{host}:{port}{_V1.sub('', parts[4] or '', count=1)}"


def server_place(url: str | None) -> tuple[str, ...]:
    """Return `host:port` alone, as the keys of an index: none when it is no URL."""
    address = server_address(url)
    return () if address is None else (address.partition("/")[0],)


def spelled_url(url: str) -> str:
    """Return an http or https URL with its host and port in one spelling, without slashes at its end.

    The scheme, and a `/v1`, still count: a gateway sends other requests. What is no plain URL stays as it is.
    """
    parts = _PARTS.fullmatch(url)
    scheme = ascii_lower(parts[1] or "") if parts else ""
    address = server_address(url)
    if parts is None or address is None or scheme not in {"http", "https"} or not _PLAIN.fullmatch(url):
        return url
    return f"{scheme}://{address.partition('/')[0]}{(parts[4] or '').rstrip('/')}"


def is_unspecified(url: str) -> bool:
    """Whether a URL names all addresses of a machine, which is none that another one can use: `0.0.0.0`, `[::]`."""
    parts = _PARTS.fullmatch(url)
    return parts is not None and _UNSPECIFIED.fullmatch(parts[2]) is not None
