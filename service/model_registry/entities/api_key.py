"""An API key of the HTTP interface. Only its hash is stored."""

from __future__ import annotations

import hashlib
import secrets
from typing import Literal, get_args

from model_registry.entities.base import Row

Scope = Literal["admin", "node", "read", "service", "dispatch"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
"""admin: everything; node: report deployments; service: register model services, report what gateways have; dispatch:
send requests to models and model services; read: reads, where these need a key."""


class ApiKey(Row):
    """A key as stored."""

    name: str
    key_hash: str
    scopes: list[str]
    services: list[str] | None = None
    """What the scopes service and dispatch are limited to, without case; None: nothing."""
    revoked_at: str | None = None


def new_secret() -> str:
    """Generate a key of 256 random bits, so that its plain SHA-256 cannot be brute-forced."""
    return f"mreg_{secrets.token_urlsafe(32)}"


def hash_of(secret: str) -> str:
    """Return the stored hash of a key: SHA-256, in hex."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()
