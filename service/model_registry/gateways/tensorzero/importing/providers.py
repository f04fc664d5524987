"""Assigns a provider row to each offer of a project: its own, one that fits, or a new one. Writes nothing."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from itertools import count
from urllib.parse import urlsplit

from pydantic import TypeAdapter, ValidationError

from model_registry.entities.base import GatewayShortName
from model_registry.entities.model import Model
from model_registry.entities.provider import Provider, is_at_vendor
from model_registry.entities.provider_types import GATEWAY_TYPES
from model_registry.gateways.tensorzero.importing.offers import (
    Connection,
    Defaults,
    ImportedOffer,
    connection_of,
    own_extras,
)
from model_registry.gateways.tensorzero.rendering.provider_tables import provider_key
from model_registry.snapshot.difference import same
from model_registry.snapshot.snapshot import Snapshot

_NAME = TypeAdapter(GatewayShortName)
_LONGEST_STEM = 150


class Providers:
    """The provider rows of the registry and of the import so far."""

    def __init__(self, snapshot: Snapshot, defaults: Defaults, new_id: Callable[[], str]) -> None:
        self.snapshot = snapshot
        self.rows: dict[str, Provider] = {row.id: row for row in snapshot.providers}
        self.new: dict[str, ImportedOffer] = {}
        """The offers of rows that are new, or whose connection moved."""
        self._defaults = defaults
        self._new_id = new_id
        self._names = {row.name for row in snapshot.providers}
        self._by_connection: dict[Connection, list[str]] = defaultdict(list)
        for row in snapshot.providers:
            if connection := connection_of(row, defaults):
                self._by_connection[connection].append(row.id)

    def assign(self, offers: list[ImportedOffer]) -> list[Provider]:
        """Return a row for each offer, in their order. The same project gets the same rows every time."""
        existing = [self._existing(offer) for offer in offers]
        chosen: dict[int, str] = {}
        used: dict[str, set[str]] = defaultdict(set)
        for index, (offer, row) in enumerate(zip(offers, existing, strict=True)):
            if row and self._fits(row.provider_id, offer) and row.provider_id not in used[offer.model]:
                chosen[index] = row.provider_id
                used[offer.model].add(row.provider_id)
        moving: dict[Connection, list[Model | None]] = defaultdict(list)
        for index, offer in enumerate(offers):
            if index not in chosen:
                moving[offer.connection].append(existing[index])
        taken = set(chosen.values())
        for index, offer in enumerate(offers):
            if index not in chosen:
                fitting = self._fitting(offer, used[offer.model])
                row_id = fitting or self._moved(offer, moving[offer.connection], taken) or self._create(offer)
                chosen[index] = row_id
                taken.add(row_id)
                used[offer.model].add(row_id)
        return [self.rows[chosen[index]] for index in range(len(offers))]

    def for_shorthand(self, kind: str) -> Provider:
        """Return the row for models that are named by a shorthand of this type; a new one if need be.

        Any row will do that stands for the type's own address and default key: a shorthand has no others.
        """
        plain = [row for row in self.rows.values() if row.type == kind and self._is_plain(row)]
        if plain:
            return min(plain, key=lambda row: (not row.active, row.name != kind, row.name))
        row = Provider(id=self._new_id(), name=self._free_name([kind, f"{kind}-shorthand"]), type=kind)
        self.rows[row.id] = row
        return row

    def _existing(self, offer: ImportedOffer) -> Model | None:
        """Find the existing row of this provider key of this model."""
        for row in self.snapshot.models.where("name", offer.model):
            provider = self.rows.get(row.provider_id)
            if provider_key(row, provider) == offer.key and (row.model_type == "embedding") == _embeds(offer):
                return row
        return None

    def _fits(self, provider_id: str, offer: ImportedOffer) -> bool:
        """Whether a row makes the offer's connection and adds no key that the offer does not have."""
        row = self.rows[provider_id]
        return connection_of(row, self._defaults) == offer.connection and all(
            key in offer.extras and same(value, offer.extras[key]) for key, value in own_extras(row).items()
        )

    def _fitting(self, offer: ImportedOffer, used: set[str]) -> str | None:
        """Find the best row that fits: one of that name, an active one; never one that has this model already."""
        rows = [self.rows[i] for i in self._by_connection.get(offer.connection, ()) if i not in used]
        rows = [row for row in rows if self._fits(row.id, offer) and not self._has_other(row.id, offer)]
        best = min(rows, key=lambda row: (row.name != offer.key, not row.active, row.name), default=None)
        return best.id if best else None

    def _has_other(self, provider_id: str, offer: ImportedOffer) -> bool:
        """Whether the provider has another kind of model under this name: a row can be only one of them."""
        rows = self.snapshot.models.where("name", offer.model)
        return any(row.provider_id == provider_id and (row.model_type == "embedding") != _embeds(offer) for row in rows)

    def _moved(self, offer: ImportedOffer, moving: list[Model | None], taken: set[str]) -> str | None:
        """Move the row whose models all move to this connection, if there is one."""
        ids = {row.provider_id if row else None for row in moving}
        old_id = ids.pop() if len(ids) == 1 else None
        if old_id is None or old_id in taken or own_extras(self.rows[old_id]):
            return None
        if {row.id for row in self.snapshot.models.where("provider", old_id)} - {row.id for row in moving if row}:
            return None
        self._enter(self.rows[old_id].model_copy(update=offer.provider), offer)
        return old_id

    def _create(self, offer: ImportedOffer) -> str:
        name = self._free_name(_names(offer))
        row = Provider(id=self._new_id(), name=name, **offer.provider)
        self._enter(row, offer)
        return row.id

    def _enter(self, row: Provider, offer: ImportedOffer) -> None:
        self.rows[row.id] = row
        self.new[row.id] = offer
        self._by_connection[offer.connection].append(row.id)

    def _free_name(self, wishes: Iterable[str]) -> str:
        stem = ""
        for name in wishes:
            stem = stem or name
            if name not in self._names:
                break
        else:
            name = next(name for n in count(2) if (name := f"{stem}-{n}") not in self._names)
        self._names.add(name)
        return name

    def _is_plain(self, row: Provider) -> bool:
        kind = GATEWAY_TYPES[row.type]
        default = kind.credential.variable if kind.credential else None
        return is_at_vendor(row.api_base, kind) and not row.tensorzero and row.api_key_env_var in {None, default}


def _embeds(offer: ImportedOffer) -> bool:
    return offer.section == "embedding_models"


def _names(offer: ImportedOffer) -> Iterator[str]:
    """Iterate over names for a new row, best first: the project's own key, then with host or variable."""
    try:
        stem = _NAME.validate_python(offer.key)[:_LONGEST_STEM]
    except ValidationError:
        stem = offer.connection.gateway_type
    yield stem
    for part in (_host(offer.provider.get("api_base")), _readable(offer.provider.get("api_key_env_var"))):
        if part and part != stem:
            yield f"{stem}-{part}"


def _host(base: object) -> str:
    try:
        return _readable(urlsplit(base).hostname) if isinstance(base, str) else ""
    except ValueError:
        return ""


def _readable(text: str | None) -> str:
    return re.sub(r"[^a-z0-9.]+", "_", (text or "").lower()).strip("_.")[:40]
