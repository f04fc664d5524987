"""Who registers instances, and which of them they may touch. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from model_registry.entities.model_service import ServiceInstance
from model_registry.errors import NotAllowed

Over = Literal["http", "nats", "file"]
_OWNERS = {"http": "with the API key", "nats": "over NATS, by", "file": "by the services file"}


@dataclass(frozen=True, slots=True)
class Author:
    """Somebody who registers instances, and is asked for nothing else here."""

    name: str
    over: Over
    is_admin: bool = False
    model_types: frozenset[str] | None = None
    """What they are limited to, in small letters; None: nothing."""

    def expect_type(self, model_type: str) -> None:
        """Refuse a model type that is not theirs. Errors: NotAllowed."""
        if not self.is_admin and self.model_types is not None and model_type.lower() not in self.model_types:
            allowed = ", ".join(sorted(self.model_types)) or "nothing"
            raise NotAllowed(f"API key {self.name!r} is limited to {allowed}: {model_type!r} is not among them.")

    def expect_own(self, instance: ServiceInstance, model_type: str) -> None:
        """Refuse an instance that somebody else registered. Errors: NotAllowed."""
        self.expect_type(model_type)
        owner = instance.registered_over, instance.registered_by
        if not self.is_admin and owner != (self.over, self.name):
            who = f"{_OWNERS.get(owner[0], 'over')} {owner[1]!r}"
            raise NotAllowed(
                f"{instance.service_id!r} was registered {who}, and is theirs. Register under another service_id, or "
                f"have an administrator delete it first (DELETE /services/{instance.service_id})."
            )
