"""Rows that share a name, as one routed model of the gateway; aliases as further keys of the same table.

Everything here is asked for one name at a time, so that a change costs what it touches.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from model_registry.catalog.snapshot import Snapshot
from model_registry.entities.alias import GATEWAY_CONTEXTS, Alias
from model_registry.entities.model import Model
from model_registry.tensorzero.offers import Offer, plain, provider_table, section_of, why_left_out
from model_registry.tensorzero.omissions import Omission
from model_registry.tensorzero.project import MODEL_TABLES, Table
from model_registry.tensorzero.provider_types import is_shorthand


@dataclass(frozen=True, slots=True)
class Entry:
    """What one name, or one function, gives to a configuration."""

    tables: tuple[tuple[str, str, Table], ...] = ()
    """Section, key and table."""
    omissions: tuple[Omission, ...] = ()
    faults: tuple[Omission, ...] = ()
    """What rendering settles by itself, and nobody should have to rely on: the rows contradict each other."""


@dataclass(frozen=True, slots=True)
class Group:
    """The rows of one section that share a name, in routing order."""

    offers: tuple[Offer, ...]
    collisions: tuple[Offer, ...]
    """Rows whose provider key another row before them has."""

    def contradictions(self) -> Iterator[str]:
        """The model keys that a row sets otherwise than a row before it."""
        seen: dict[str, tuple[str, Any]] = {}
        for offer in self.offers:
            for key, value in sorted(plain(offer.model_extras).items()):
                first, said = seen.setdefault(key, (offer.provider.name, value))
                if said != value:
                    yield f"{first} and {offer.provider.name} say different things in tensorzero.model.{key}"

    def table(self) -> Table:
        """The gateway's model table."""
        extras: Table = {}
        for offer in self.offers:
            extras = {**offer.model_extras, **extras}
        table: Table = {"routing": [offer.key for offer in self.offers]}
        table |= plain({key: value for key, value in extras.items() if key not in {"routing", "providers"}})
        table["providers"] = {offer.key: provider_table(offer) for offer in self.offers}
        return table


def group(snapshot: Snapshot, section: str, name: str) -> Group:
    """The rendered rows of this name in a section, in routing order."""
    taken: dict[str, Offer] = {}
    ordered = sorted(_offers(snapshot, section, name), key=lambda o: (o.model.routing_priority, o.provider.name))
    collisions = [offer for offer in ordered if taken.setdefault(offer.key, offer) is not offer]
    return Group(tuple(taken.values()), tuple(collisions))


def _offers(snapshot: Snapshot, section: str, name: str) -> Iterator[Offer]:
    for model in snapshot.models.where("name", name):
        provider = snapshot.providers.get(model.provider_id)
        if section_of(model) == section and provider and not why_left_out(model, provider):
            yield Offer(model, provider)


def alias_target(snapshot: Snapshot, alias: Alias) -> tuple[str, Model] | None:
    """The section and the model that an alias is a key for, when the gateway is to know it."""
    model = snapshot.models.get(alias.model_id)
    if alias.context not in GATEWAY_CONTEXTS or model is None:
        return None
    section = section_of(model)
    return None if section is None else (section, model)


def model_entry(snapshot: Snapshot, name: str) -> Entry:
    """The tables under this name: the model's own, or that of the model it is an alias of."""
    tables: dict[str, tuple[str, Table]] = {}
    omissions = [o for model in snapshot.models.where("name", name) if (o := _omission(snapshot, model))]
    faults = []
    for section in MODEL_TABLES:
        routed = group(snapshot, section, name)
        if routed.offers and not is_shorthand(name):
            tables[section] = (name, routed.table())
        faults += [_collision(offer) for offer in routed.collisions]
        faults += [Omission("model", name, f"its rows at {reason}") for reason in routed.contradictions()]
    for alias in snapshot.aliases.where("alias", name):
        target = alias_target(snapshot, alias)
        if target is None:
            continue
        section, model = target
        if (routed := group(snapshot, section, model.name)).offers:
            of, _ = tables.setdefault(section, (model.name, routed.table()))
            if of != model.name:
                faults.append(Omission("alias", name, _clash(of, name, model.name)))
        else:
            omissions.append(Omission("alias", name, f"its model {model.name} is left out"))
    made = tuple((section, name, table) for section, (_, table) in tables.items())
    return Entry(made, (*omissions, *faults), tuple(faults))


def _collision(offer: Offer) -> Omission:
    reason = f"another row of this model has the provider key {offer.key} already"
    return Omission("model", offer.model.name, f"at provider {offer.provider.name}: {reason}")


def _clash(of: str, name: str, model: str) -> str:
    owner = "a model has this name" if of == name else f"it is an alias of {of} already"
    return f"{owner}, so it is no name of {model}"


def _omission(snapshot: Snapshot, model: Model) -> Omission | None:
    provider = snapshot.providers.get(model.provider_id)
    reason = why_left_out(model, provider)
    if reason is None:
        return None
    at = f"at provider {provider.name}: " if provider else ""
    switched_off = not model.active or (provider is not None and not provider.active)
    return Omission("model", model.name, f"{at}{reason}", switched_off)
