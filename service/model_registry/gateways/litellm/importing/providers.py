"""Assigns a provider row to each offer of a configuration: its own, one that fits, or a new one. Writes nothing."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import count
from urllib.parse import urlsplit

from model_registry.entities.gateway import Gateway
from model_registry.entities.model import Model
from model_registry.entities.provider import Provider, is_at_vendor
from model_registry.entities.provider_types import PROVIDER_TYPES
from model_registry.gateways.litellm.config import Table, variable_of
from model_registry.gateways.litellm.deployment import PLACEHOLDER, PREFIX, connection
from model_registry.gateways.litellm.importing.gateway_row import KIND
from model_registry.gateways.litellm.importing.models import column
from model_registry.gateways.litellm.importing.names import CUSTOM
from model_registry.gateways.litellm.importing.offers import ImportedOffer
from model_registry.gateways.litellm.keys import is_no_key
from model_registry.gateways.litellm.tensorzero_keys import parameters_of
from model_registry.gateways.scope import scoped
from model_registry.snapshot.difference import same
from model_registry.snapshot.snapshot import Snapshot

_Key = tuple[str, str | None, str | None]
_LONGEST_STEM = 150
_KEYS_END = re.compile(r"(_?(api|access|secret|key|token|password))+$")
_BASE = "api_base"


class Providers:
    """The provider rows of the registry and of the import so far."""

    def __init__(
        self, snapshot: Snapshot, new_id: Callable[[], str], gateway: Gateway | None, groups: Collection[str]
    ) -> None:
        """Make it for an import into this gateway, None for a new one, of these model groups.

        A gateway has all models of the providers that it carries. So a new one of the import brings nothing else with
        it, and no row joins a group of another gateway.
        """
        self._carried = set(gateway.providers or ()) if gateway and gateway.providers is not None else None
        self._is_whole = gateway is not None and gateway.providers is None
        self._groups = groups
        self._usable: dict[str, bool] = {}
        kinds = [row for row in snapshot.gateways if row.kind == KIND and (gateway is None or row.id != gateway.id)]
        self._others = [(other, set(scoped(snapshot, other).models.keys("name"))) for other in kinds]
        self.rows: dict[str, Provider] = {row.id: row for row in snapshot.providers}
        self.new: set[str] = set()
        self._snapshot = snapshot
        self._new_id = new_id
        self._names = {row.name for row in snapshot.providers}
        self._by_key: dict[_Key, list[str]] = defaultdict(list)
        for row in snapshot.providers:
            self._by_key[_key(row.type, row.api_base, row.api_key_env_var)].append(row.id)

    def assign(self, offers: list[ImportedOffer]) -> list[tuple[Provider, Model | None]]:
        """Return provider and existing row for each offer of one group, in their order.

        The same configuration gets the same rows every time, and no two offers of a group the same provider: a provider
        has a name only once.
        """
        left = {row.id: row for row in self._snapshot.models.where("name", offers[0].entry.model_name)}
        found: dict[int, tuple[Provider, Model | None]] = {}
        for alike in (self._is_equal, _has_id, _has_model, lambda _row, _offer: True):
            for number, offer in enumerate(offers):
                rows = [row for row in left.values() if number not in found and alike(row, offer)]
                rows = [row for row in rows if self._may_use(self.rows[row.provider_id])]
                if alike != self._is_equal:
                    rows = [row for row in rows if not self._is_of_others(self.rows[row.provider_id], offer)]
                row = next((row for row in rows if self._fits(self.rows[row.provider_id], offer)), None)
                if row is not None:
                    del left[row.id]
                    found[number] = self.rows[row.provider_id], row
        used = {provider.id for provider, _ in found.values()} | {row.provider_id for row in left.values()}
        for number, offer in enumerate(offers):
            if number not in found:
                provider = self._fitting(offer, used) or self._create(offer)
                used.add(provider.id)
                found[number] = provider, None
        return [found[number] for number in range(len(offers))]

    def _is_equal(self, row: Model, offer: ImportedOffer) -> bool:
        """Whether a row is the offer's as it is: of two that are nearly alike each keeps its own."""
        return _has_model(row, offer) and same(column(offer, row, self.rows[row.provider_id]), row.litellm)

    def _fits(self, row: Provider, offer: ImportedOffer) -> bool:
        """Whether a provider makes the offer's connection, and adds no key that the offer does not have."""
        if row.type != offer.provider["type"] or (row.type == CUSTOM and row.litellm.get(PREFIX, "") != offer.prefix):
            return False
        there = connection(row, offer.name.prefix or offer.prefix) | parameters_of(row.tensorzero)
        if _at_vendor(row.type, row.api_base) and _at_vendor(row.type, offer.provider["api_base"]):
            there = {key: value for key, value in there.items() if key != _BASE}
            there |= {key: value for key, value in offer.connection.items() if key == _BASE}
        if is_no_key(there.get("api_key")):
            there["api_key"] = PLACEHOLDER
        wanted: Table = offer.entry.params | offer.connection
        return all(key in wanted and same(value, wanted[key]) for key, value in there.items()) and all(
            key in there for key in offer.connection
        )

    def _fitting(self, offer: ImportedOffer, used: set[str]) -> Provider | None:
        columns = offer.provider
        ids = self._by_key[_key(columns["type"], columns["api_base"], columns["api_key_env_var"])]
        rows = [self.rows[row_id] for row_id in ids if row_id not in used]
        fitting = [
            row for row in rows if self._may_use(row) and self._fits(row, offer) and not self._is_of_others(row, offer)
        ]
        return min(fitting, key=lambda row: (not row.active, row.name != offer.prefix, row.name), default=None)

    def _may_use(self, row: Provider) -> bool:
        """Whether the gateway carries a provider already, or gets nothing with it that the configuration lacks."""
        if self._is_whole or row.id in self.new or row.name in (self._carried or ()):
            return True
        if row.id not in self._usable:
            models = self._snapshot.models.where("provider", row.id)
            self._usable[row.id] = all(model.name in self._groups for model in models if model.active)
        return self._usable[row.id]

    def _is_of_others(self, row: Provider, offer: ImportedOffer) -> bool:
        """Whether another gateway has a group of this name and carries the provider: a row there would be in it."""
        return any(
            offer.entry.model_name in groups and (other.providers is None or row.name in other.providers)
            for other, groups in self._others
        )

    def _create(self, offer: ImportedOffer) -> Provider:
        row = Provider(id=self._new_id(), name=self._free_name(_names(offer)), **offer.provider)
        self.rows[row.id] = row
        self.new.add(row.id)
        self._by_key[_key(row.type, row.api_base, row.api_key_env_var)].append(row.id)
        return row

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


def _key(kind: str, base: str | None, variable: str | None) -> _Key:
    return kind, None if _at_vendor(kind, base) else base, variable


def _at_vendor(kind: str, base: str | None) -> bool:
    """Whether requests go to the vendor's own address, which a row may state or not; its models say which."""
    return is_at_vendor(base, PROVIDER_TYPES[kind]) and bool(PROVIDER_TYPES[kind].home)


def _has_id(row: Model, offer: ImportedOffer) -> bool:
    info = row.litellm.get("model_info")
    own = info.get("id") if isinstance(info, dict) else None
    return offer.entry.info.get("id") in {row.id, own} - {None}


def _has_model(row: Model, offer: ImportedOffer) -> bool:
    return row.model_id == offer.name.model_id


def _names(offer: ImportedOffer) -> Iterator[str]:
    """Iterate over names for a new row, best first: LiteLLM's, then with host, credential or variable."""
    kind = str(offer.provider["type"])
    stem = _readable(offer.prefix) or kind
    stem = kind if kind not in {CUSTOM, "openai_compatible"} else stem
    base = offer.connection.get("api_base")
    host = _host(base) if isinstance(base, str) else ""
    if kind == "openai_compatible" and host:
        stem = host
    credential = PROVIDER_TYPES[kind].credential
    variable = offer.provider["api_key_env_var"]
    usual = credential is not None and variable == credential.variable
    parts = [offer.connection.get("litellm_credential_name"), host, None if usual else variable]
    # A name that ends like a key's would make a secret of what stands beside it in a list.
    readable = [_KEYS_END.sub("", _readable(part)) for part in parts if isinstance(part, str)]
    wishes = [stem, *(f"{stem}-{part}" for part in readable if part and part != stem)]
    if kind == CUSTOM and stem in PROVIDER_TYPES and len(wishes) > 1:
        wishes = wishes[1:]  # the bare name is better kept for a provider of that type
    yield from (wish[:_LONGEST_STEM] for wish in wishes)


def _host(base: str) -> str:
    if variable := variable_of(base):
        return _readable(variable)
    try:
        parts = urlsplit(base)
        return _readable(f"{parts.hostname or ''}{f'_{parts.port}' if parts.port else ''}")
    except ValueError:
        return ""


def _readable(text: str) -> str:
    return re.sub(r"[^a-z0-9.]+", "_", text.lower()).strip("_.")[:60]
