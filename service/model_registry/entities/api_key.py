"""An API key of the HTTP interface. Only its hash is ever kept."""

from __future__ import annotations

import hashlib
import secrets
from typing import Literal

from model_registry.entities.base import Row

Scope = Literal["admin", "node", "read"]
SCOPES: tuple[Scope, ...] = ("admin", "node", "read")
"""admin: everything; node: report deployments; read: look things up where reads need a key."""


class ApiKey(Row):
    """A key as the database holds it."""

    name: str
    key_hash: str
    scopes: list[str]
    revoked_at: str | None = None


def new_secret() -> str:
    """A fresh key: 256 random bits, so that a plain SHA-256 of it cannot be searched."""
    return f"mreg_{secrets.token_urlsafe(32)}"


def hash_of(secret: str) -> str:
    """What is stored of a key: its SHA-256, in hex."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()
