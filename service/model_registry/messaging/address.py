"""NATS_URL taken apart: where the servers are, which may be shown, and what opens them, which may not."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Self
from urllib.parse import SplitResult, unquote, urlsplit

_DEFAULT_PORT = 4222


@dataclass(frozen=True, slots=True)
class NatsAddress:
    """Servers, and how to log in. `nats://token@host`, `nats://user:password@host`; several, separated by commas."""

    servers: tuple[str, ...]
    """URLs without secrets, for the client and for logs."""
    credentials: dict[str, str] = field(default_factory=dict, repr=False)
    """Arguments of nats-py's `connect`: token, or user and password."""

    @classmethod
    def parse(cls, url: str) -> Self:
        """Take it apart. Errors: ValueError, without a word of the URL in it."""
        given = [one.strip() for one in url.split(",")]
        try:
            parts = [_part(one, alone=len(given) == 1) for one in given]
            servers = tuple(_server(part) for part in parts)
        except ValueError:
            message = (
                "NATS_URL cannot be read: it must be nats://[user:password@ or token@]host[:port], with , / ? # [ ] @ "
                ": and % in user, password or token percent-encoded"
            )
            raise ValueError(message) from None  # the cause shows what it stumbled over, which may be a password
        return cls(servers, next((found for part in parts if (found := _credentials(part))), {}))

    def __str__(self) -> str:
        """For logs."""
        return ", ".join(self.servers)


def _part(one: str, *, alone: bool) -> SplitResult:
    """One URL of the list. A single one may come without `nats://`; in a list, it would be the rest of a secret."""
    part = urlsplit(one if "://" in one or not alone else f"nats://{one}")
    if not part.scheme or "@" in part.path + part.query + part.fragment:
        raise ValueError  # a secret with / ? or # in it: its beginning would be taken for the host, and be shown
    return part


def _server(part: SplitResult) -> str:
    host, port = part.hostname, part.port or _DEFAULT_PORT
    if not host:
        raise ValueError
    return f"{part.scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def _credentials(part: SplitResult) -> dict[str, str]:
    """As NATS's own clients have it: a user without a password is a token."""
    if part.username is None:
        return {}
    if part.password is None:
        return {"token": unquote(part.username)}
    return {"user": unquote(part.username), "password": unquote(part.password)}
