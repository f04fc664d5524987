"""Finds the provider of an offered model, by name, address or type, or makes a new one."""

from __future__ import annotations

from collections.abc import Callable

from pydantic import ValidationError

from model_registry.entities.field_errors import reasons_of
from model_registry.entities.offer import Offer
from model_registry.entities.provider import Provider, ProviderDraft
from model_registry.entities.provider_types import PROVIDER_TYPES
from model_registry.errors import AmbiguousName, Invalid, NotFound
from model_registry.snapshot.snapshot import Snapshot


class OfferedProviders:
    """Finds the provider of each offer, and remembers the new ones."""

    def __init__(self, snapshot: Snapshot, new_id: Callable[[], str], *, only_existing: bool) -> None:
        self._snapshot = snapshot
        self._new_id = new_id
        self._only_existing = only_existing
        self._found: dict[str, Provider] = {}
        self.new: dict[str, Provider] = {}
        """Those that are not in the registry yet, by name."""

    def of(self, offer: Offer) -> list[Provider]:
        """Find the providers that may have the model; exactly one where the offer names its provider.

        Errors: Invalid, AmbiguousName, NotFound, when there is none and none can be made.
        """
        if offer.provider is None:
            return [p for p in self._snapshot.providers if offer.provider_type in (None, p.type)]
        # One name is one provider, also if offers differ in the rest: the next import finds the provider by name.
        if offer.provider not in self._found:
            self._found[offer.provider] = self._existing(offer) or self._made(offer, offer.provider)
        return [self._found[offer.provider]]

    def _existing(self, offer: Offer) -> Provider | None:
        providers = self._snapshot.providers
        if named := providers.where("name", offer.provider):
            return named[0]
        if offer.api_base is not None:
            at = _address(offer.api_base)
            return next((p for p in providers if p.api_base and _address(p.api_base) == at), None)
        kind = PROVIDER_TYPES.get(offer.provider_type or "")
        # The only server of a type that many run is not necessarily the one that is meant.
        if offer.provider_type is None or (kind and kind.many_servers):
            return None
        typed = [p for p in providers if p.type == offer.provider_type]
        if len(typed) > 1:
            names = ", ".join(p.name for p in typed)
            message = f"several providers are of type {offer.provider_type} ({names}): say which one with its name"
            raise AmbiguousName(message)
        return typed[0] if typed else None

    def _made(self, offer: Offer, name: str) -> Provider:
        if self._only_existing:
            raise NotFound(f"there is no provider {name!r}")
        if offer.provider_type not in PROVIDER_TYPES:
            raise NotFound(f"there is no provider {name!r}, and its type is not known: add it first")
        try:
            # Off until somebody says that there is an account: a gateway refuses a key that is not set.
            draft = ProviderDraft.model_validate(
                {"name": name, "type": offer.provider_type, "api_base": offer.api_base, "active": False}
            )
        except ValidationError as error:
            raise Invalid(f"the provider {name!r} is not valid: {'; '.join(map(str, reasons_of(error)))}") from error
        provider = self.new[name] = Provider.model_validate({"id": self._new_id(), **draft.model_dump()})
        return provider


def _address(url: str) -> str:
    """Normalise a base URL for comparison: with and without `/v1` at its end it is the same server."""
    return url.lower().rstrip("/").removesuffix("/v1")
