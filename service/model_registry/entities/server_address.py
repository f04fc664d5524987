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
_LOOPBACK = re.compile(r"localhost|127\.0\.0\.1|0\.0\.0\.0|\[(0{0,4}:){2,7}0{0,3}[01]?\]")
_UNSPECIFIED = re.compile(r"(0x)?0+(\.(0x)?0+){0,3}|0{1,4}:0{1,4}|\[(0{0,4}:){2,7}0{0,4}\]", re.IGNORECASE)
_IPV6 = re.compile(r"\[[0-9a-f:]+\]")
_ZEROS = re.compile(r"(?<![0-9a-f])0+(?=[0-9a-f])")
_MAPPED = re.compile(r"\[(?:0{0,4}:){1,6}ffff:([0-9A-Fa-f:.]+)\]", re.IGNORECASE)
_OLLAMAS_OWN = re.compile(r"/+api(/[a-z]+)?\Z")
_PLAIN = re.compile(r"[^?#@]*")
_V1 = re.compile(r"(/+v1)?/*\Z")


@lru_cache(maxsize=4096)
def server_address(url: str | None) -> str | None:
    """Return `host:port/path`, without `/v1` at its end; None when it is no URL.

    Case, the scheme, a default port and slashes at the end do not count. 127.0.0.1 and the other names of it are
    `localhost`; 127.0.0.2 and its like are not: other servers may listen there at the same port.
    """
    parts = _PARTS.fullmatch(url or "")
    if parts is None:
        return None
    scheme, host = ascii_lower(parts[1] or ""), ascii_lower(parts[2]).rstrip(".")
    if not host:
        return None
    host = "localhost" if _LOOPBACK.fullmatch(host) else _all_groups(host)
    port = (parts[3] or "").lstrip("0") or ("443" if scheme in {"https", "wss"} else "80")
    return f"{host}:{port}{_V1.sub('', parts[4] or '', count=1)}"


def _all_groups(host: str) -> str:
    """Spell an IPv6 address with all eight groups, none with zeros in front. Any other host stays as it is."""
    if not _IPV6.fullmatch(host):
        return host
    inner = host[1:-1]
    if "::" in inner:
        left, right = inner.split("::")[:2]
        zeros = "0:" * (8 - len([group for group in inner.split(":") if group]))
        inner = f"{left}:{zeros}{right}".strip(":")
    return f"[{_ZEROS.sub('', inner)}]"


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


def with_host_of(url: str, other: str) -> str:
    """Return a URL with its own port and path, and the host of the other one; as it is when one of them is no URL."""
    parts, host = _PARTS.fullmatch(url), _PARTS.fullmatch(other)
    return url if parts is None or host is None else url[: parts.start(2)] + host[2] + url[parts.end(2) :]


def ollama_base(url: str) -> str:
    """Return the base URL of OpenAI's protocol of an Ollama: below `/v1`, beside its own one below `/api`."""
    if not _PLAIN.fullmatch(url) or re.search(r"/v1(/|\Z)", url):
        return url
    return f"{_OLLAMAS_OWN.sub('', url.rstrip('/'))}/v1"


def is_unspecified(url: str) -> bool:
    """Whether a URL names all addresses of a machine, which is none that others can use: `0.0.0.0`, `[::]`, `0`."""
    parts = _PARTS.fullmatch(url)
    if parts is None:
        return False
    host = parts[2].rstrip(".")
    if mapped := _MAPPED.fullmatch(host):
        host = mapped[1]
    return _UNSPECIFIED.fullmatch(host) is not None
