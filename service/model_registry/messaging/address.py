"""Parses NATS_URL: the servers, which may be shown, and the credentials, which may not. Connecting is elsewhere."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Self
from urllib.parse import SplitResult, unquote, urlsplit

_DEFAULT_PORT = 4222


@dataclass(frozen=True, slots=True)
class NatsAddress:
    """Servers and credentials. `nats://token@host` or `nats://user:password@host`; several, separated by commas."""

    servers: tuple[str, ...]
    """URLs without secrets, for the client and for logs."""
    credentials: dict[str, str] = field(default_factory=dict, repr=False)
    """Arguments of nats-py's `connect`: token, or user and password."""

    @classmethod
    def parse(cls, url: str) -> Self:
        """Parse a URL or a list. Errors: ValueError, with no part of the URL in its message."""
        given = [one.strip() for one in url.split(",")]
        try:
            parts = [_part(one, alone=len(given) == 1) for one in given]
            servers = tuple(_server(part) for part in parts)
        except ValueError:
            message = (
                "NATS_URL cannot be read: it must be nats://[user:password@ or token@]host[:port], with , / ? # [ ] @ "
                ": and % in user, password or token percent-encoded"
            )
            raise ValueError(message) from None  # the cause quotes its input, which may hold a password
        return cls(servers, next((login for part in parts if (login := _credentials(part))), {}))

    def __str__(self) -> str:
        """The servers, for logs."""
        return ", ".join(self.servers)


def _part(one: str, *, alone: bool) -> SplitResult:
    """Parse one URL. A single one may lack `nats://`; in a list, such an item would be the rest of a secret."""
    part = urlsplit(one if "://" in one or not alone else f"nats://{one}")
    if not part.scheme or "@" in part.path + part.query + part.fragment:
        raise ValueError  # a secret containing / ? or #: its beginning would be taken for the host, and shown
    return part


def _server(part: SplitResult) -> str:
    host, port = part.hostname, part.port or _DEFAULT_PORT
    if not host:
        raise ValueError
    return f"{part.scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def _credentials(part: SplitResult) -> dict[str, str]:
    """Return the login. As in NATS's own clients, a user without a password is a token."""
    if part.username is None:
        return {}
    if part.password is None:
        return {"token": unquote(part.username)}
    return {"user": unquote(part.username), "password": unquote(part.password)}
