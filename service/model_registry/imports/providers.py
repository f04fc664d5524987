"""Finds the provider of an offered model, by address, name or type, or makes a new one.

An address decides which provider it is. A name that has another address is refused: its models would be registered at
the wrong server.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import count

from pydantic import ValidationError

from model_registry.entities.field_errors import reasons_of
from model_registry.entities.offer import Offer
from model_registry.entities.provider import Provider, ProviderDraft
from model_registry.entities.provider_types import PROVIDER_TYPES
from model_registry.entities.server_address import server_address, server_place
from model_registry.errors import AmbiguousName, Invalid, NotFound, ProviderElsewhere
from model_registry.snapshot.snapshot import Snapshot


class OfferedProviders:
    """Finds the provider of each offer, and remembers the new ones."""

    def __init__(self, snapshot: Snapshot, new_id: Callable[[], str], *, only_existing: bool) -> None:
        self._snapshot = snapshot
        self._new_id = new_id
        self._only_existing = only_existing
        self._found: dict[tuple[str, str | None], Provider] = {}
        self._at_home: list[Provider] | None = None
        """Those without an address of their own: they are at their vendors'."""
        self.new: dict[str, Provider] = {}
        """Those that are not in the registry yet, by name."""

    def of(self, offer: Offer) -> list[Provider]:
        """Find the providers that may have the model; exactly one where the offer names its provider.

        Errors: Invalid, AmbiguousName, NotFound, when there is none and none can be made; ProviderElsewhere.
        """
        if offer.provider is None:
            return [p for p in self._snapshot.providers if offer.provider_type in (None, p.type)]
        # One name at one address is one provider, also if offers differ in the rest.
        key = offer.provider, offer.api_base
        if key not in self._found:
            self._found[key] = self._existing(offer, offer.provider) or self._made(offer, offer.provider)
        return [self._found[key]]

    def _existing(self, offer: Offer, name: str) -> Provider | None:
        named = self._named(name)
        if named is not None and not offer.provider_suggested:
            self._refuse_another_address(offer, named)
            return named
        if offer.api_base is not None:
            here = self._at(offer, offer.api_base)
            return here or (named if named is not None and not _address(named) else None)
        if named is not None:
            return named
        kind = PROVIDER_TYPES.get(offer.provider_type or "")
        # The only server of a type that many run is not necessarily the one that is meant.
        if offer.provider_type is None or (kind and kind.many_servers):
            return None
        typed = [p for p in self._snapshot.providers if p.type == offer.provider_type]
        if len(typed) > 1:
            names = ", ".join(p.name for p in typed)
            message = f"several providers are of type {offer.provider_type} ({names}): say which one with its name"
            raise AmbiguousName(message)
        return typed[0] if typed else None

    def _named(self, name: str) -> Provider | None:
        return next(iter(self._snapshot.providers.where("name", name)), None) or self.new.get(name)

    def _at(self, offer: Offer, base: str) -> Provider | None:
        """Find the provider at an address. Errors: AmbiguousName, when there are several accounts."""
        address = server_address(base)
        if self._at_home is None:
            self._at_home = [p for p in self._snapshot.providers if not p.api_base]
        near = [p for place in server_place(base) for p in self._snapshot.providers.where("place", place)]
        here = [p for p in (*near, *self._at_home, *self.new.values()) if address and _address(p) == address]
        if len({p.api_key_env_var for p in here}) > 1 and not offer.provider_suggested:
            names = ", ".join(p.name for p in here)
            raise AmbiguousName(f"several providers are at {base} ({names}): say which one with its name")
        here.sort(key=lambda p: (p.type != offer.provider_type, not p.active, p.name))
        return here[0] if here else None

    def _refuse_another_address(self, offer: Offer, named: Provider) -> None:
        there = _address(named)
        if offer.api_base is None or there is None or server_place(there) == server_place(offer.api_base):
            return
        own = named.api_base or PROVIDER_TYPES[named.type].home
        try:
            here = self._at(offer, offer.api_base)
        except AmbiguousName:
            here = None
        what = (
            f"Name the provider that has this address, {here.name!r}, or leave the name out"
            if here
            else f"Name another provider, new or not. If {named.name!r} has moved, change its api_base first"
        )
        raise ProviderElsewhere(f"The provider {named.name!r} is at {own}, not at {offer.api_base}. {what}.")

    def _made(self, offer: Offer, wish: str) -> Provider:
        if self._only_existing:
            raise NotFound(f"there is no provider {wish!r}")
        if offer.provider_type not in PROVIDER_TYPES:
            raise NotFound(f"there is no provider {wish!r}, and its type is not known: add it first")
        name = next(name for name in _names(wish, offer) if self._named(name) is None)
        try:
            # Off until somebody says that there is an account: a gateway refuses a key that is not set.
            draft = ProviderDraft.model_validate(
                {"name": name, "type": offer.provider_type, "api_base": offer.api_base, "active": False}
            )
        except ValidationError as error:
            raise Invalid(f"the provider {name!r} is not valid: {'; '.join(map(str, reasons_of(error)))}") from error
        provider = self.new[name] = Provider.model_validate({"id": self._new_id(), **draft.model_dump()})
        return provider


def _address(provider: Provider) -> str | None:
    """Where a provider is: at its base URL, or at its vendor's."""
    kind = PROVIDER_TYPES.get(provider.type)
    return server_address(provider.api_base or (kind.home if kind else ""))


def _names(wish: str, offer: Offer) -> Iterator[str]:
    """Yield names for a new provider: the one that is wished for, then with the host, with the port, with a number."""
    yield wish
    place = next(iter(server_place(offer.api_base)), "")
    host, _, port = place.rpartition(":")
    host = re.sub(r"[^a-z0-9.-]+", "-", host).strip("-.")[:100]
    for name in (f"{wish}-{host}", f"{wish}-{host}-{port}"):
        if host:
            yield name
    yield from (f"{wish}-{number}" for number in count(2))
