"""Who asks, and what their key allows. How a key is recognised is in `auth.py`."""

from __future__ import annotations

from dataclasses import dataclass

from model_registry.entities.api_key import Scope
from model_registry.errors import NotAllowed


@dataclass(frozen=True, slots=True)
class Caller:
    """Someone who has shown a valid key."""

    name: str
    scopes: frozenset[str]
    services: frozenset[str] | None = None
    """What the scopes service and dispatch are limited to, in small letters; None: everything."""

    def may(self, scope: Scope) -> bool:
        """Whether the key allows this; admin allows everything, and any key allows reading."""
        return scope in self.scopes or "admin" in self.scopes or scope == "read"

    def may_use(self, *names: str) -> bool:
        """Whether the key may register, or send requests to, what goes by one of these names."""
        return self.services is None or "admin" in self.scopes or any(n.lower() in self.services for n in names)

    def may_see(self, name: str) -> bool:
        """Whether the key may look at a model service: at what it may use, or at all where it is for reading too."""
        return "read" in self.scopes or self.may_use(name)

    def require_sight(self, name: str) -> None:
        """Errors: NotAllowed, where the key may not look at a model service."""
        if not self.may_see(name):
            raise NotAllowed(f"API key {self.name!r} is limited to others than {name!r}.")


ANYBODY = Caller("anonymous", frozenset({"read"}))
"""Who reads without a key where that is allowed."""
