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
        parts = [urlsplit(one if "://" in one else f"nats://{one}") for one in map(str.strip, url.split(",")) if one]
        if not parts or any("@" in part.path + part.query + part.fragment for part in parts):
            # A secret with / ? or # in it: what follows would be taken for a host, and be shown.
            message = "NATS_URL cannot be read: percent-encode / ? # @ and : in the user, password or token"
            raise ValueError(message)
        try:
            servers = tuple(_server(part) for part in parts)
        except ValueError:
            message = "NATS_URL cannot be read: it must be nats://[user:password@ or token@]host[:port]"
            raise ValueError(message) from None  # the cause shows what it stumbled over, which may be a password
        return cls(servers, next((found for part in parts if (found := _credentials(part))), {}))

    def __str__(self) -> str:
        """For logs."""
        return ", ".join(self.servers)


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
