"""Makes one routed model of the gateway from the rows with one name; aliases are further keys of the same table.

Works on one name at a time, so that a change only costs the names it touches.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from model_registry.entities.model import GATEWAY_CONTEXTS, Alias, Model
from model_registry.entities.provider_types import is_shorthand
from model_registry.gateways.omission import Omission
from model_registry.gateways.tensorzero.project import MODEL_TABLES, Table
from model_registry.gateways.tensorzero.rendering.provider_tables import (
    ProviderTable,
    ignored_prices,
    plain,
    provider_table,
    section_of,
    why_left_out,
)
from model_registry.gateways.tensorzero.rendering.routes import Route, omitted, routes_of
from model_registry.gateways.tensorzero.rendering.variables import Need, provider_needs
from model_registry.snapshot.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """The part of a configuration made from one name or one function."""

    tables: tuple[tuple[str, str, Table], ...] = ()
    """Section, key and table."""
    omissions: tuple[Omission, ...] = ()
    faults: tuple[Omission, ...] = ()
    """Contradictions between rows, which rendering resolves arbitrarily."""
    needs: tuple[Need, ...] = ()
    """The variables that the tables name."""


@dataclass(frozen=True, slots=True)
class Group:
    """The rows of one section that share a name, in routing order."""

    offers: tuple[ProviderTable, ...]
    collisions: tuple[ProviderTable, ...]
    """Rows whose provider key an earlier row has."""
    routes: Mapping[str, tuple[Route, ...]]
    """Provider key of an offer -> the routes tried before it."""
    unrouted: tuple[Omission, ...]
    """Live deployments that are not routed."""

    def contradictions(self) -> Iterator[str]:
        """Yield the model keys that a row sets differently from an earlier row."""
        seen: dict[str, tuple[str, Any]] = {}
        for offer in self.offers:
            for key, value in sorted(plain(offer.model_extras).items()):
                first, earlier = seen.setdefault(key, (offer.provider.name, value))
                if earlier != value:
                    yield f"{first} and {offer.provider.name} say different things in tensorzero.model.{key}"

    def table(self) -> Table:
        """The gateway's model table."""
        extras: Table = {}
        for offer in self.offers:
            extras = {**offer.model_extras, **extras}
        providers: Table = {}
        for offer in self.offers:
            own = provider_table(offer)
            providers |= {route.key: route.table(own) for route in self.routes.get(offer.key, ())}
            providers[offer.key] = own
        rest = plain({key: value for key, value in extras.items() if key not in {"routing", "providers"}})
        return {"routing": list(providers), **rest, "providers": providers}

    def needs(self, table: Table) -> Iterator[Need]:
        """Yield what the model's table needs. Routes need what the offer does that they are of."""
        for offer in self.offers:
            yield from provider_needs(f"provider {offer.provider.name}", table["providers"][offer.key])


def group(snapshot: Snapshot, section: str, name: str) -> Group:
    """Return the rendered rows of a name in a section, in routing order."""
    taken: dict[str, ProviderTable] = {}
    ordered = sorted(_offers(snapshot, section, name), key=lambda o: (o.model.routing_priority, o.provider.name))
    collisions = [offer for offer in ordered if taken.setdefault(offer.key, offer) is not offer]
    routes, unrouted = _routes(snapshot, taken)
    return Group(tuple(taken.values()), tuple(collisions), routes, unrouted)


def _routes(
    snapshot: Snapshot, offers: Mapping[str, ProviderTable]
) -> tuple[dict[str, tuple[Route, ...]], tuple[Omission, ...]]:
    """Return each offer's routes. Rows' own keys take precedence: a route never takes one."""
    taken = set(offers)
    routes: dict[str, tuple[Route, ...]] = {}
    omissions: list[Omission] = []
    for key, offer in offers.items():
        candidates = routes_of(snapshot, offer)
        omissions += candidates.omissions
        kept = []
        for route in candidates.routes:
            if route.key in taken:
                omissions.append(omitted(route.deployment, f"another provider has the key {route.key} already"))
            else:
                taken.add(route.key)
                kept.append(route)
        if kept:
            routes[key] = tuple(kept)
    return routes, tuple(omissions)


def _offers(snapshot: Snapshot, section: str, name: str) -> Iterator[ProviderTable]:
    for model in snapshot.models.where("name", name):
        provider = snapshot.providers.get(model.provider_id)
        if section_of(model) == section and provider and not why_left_out(model, provider):
            yield ProviderTable(model, provider)


def alias_target(snapshot: Snapshot, alias: Alias) -> tuple[str, Model] | None:
    """Return the section and the model of an alias, if it is rendered for the gateway."""
    model = snapshot.models.get(alias.model_id)
    if alias.context not in GATEWAY_CONTEXTS or model is None:
        return None
    section = section_of(model)
    return None if section is None else (section, model)


def model_entry(snapshot: Snapshot, name: str) -> ModelEntry:
    """Make the tables under a name: the model's own, or those of the model that it is an alias of."""
    tables: dict[str, tuple[str, Table]] = {}
    omissions = [o for model in snapshot.models.where("name", name) if (o := _omission(snapshot, model))]
    faults: list[Omission] = []
    needs: list[Need] = []
    for section in MODEL_TABLES:
        routed = group(snapshot, section, name)
        if routed.offers and not is_shorthand(name):
            tables[section] = (name, routed.table())
            needs += routed.needs(tables[section][1])
            omissions += routed.unrouted
            omissions += [Omission("price", name, why) for offer in routed.offers if (why := ignored_prices(offer))]
        faults += [_collision(offer) for offer in routed.collisions]
        faults += [Omission("model", name, f"its rows at {reason}") for reason in routed.contradictions()]
    for alias in snapshot.aliases.where("alias", name):
        target = alias_target(snapshot, alias)
        if target is None:
            if alias.context in GATEWAY_CONTEXTS and snapshot.models.get(alias.model_id) is None:
                reason = "its model is left out"
                omissions.append(Omission("alias", name, reason, switched_off=True))
            continue
        section, model = target
        if (routed := group(snapshot, section, model.name)).offers:
            of, _ = tables.setdefault(section, (model.name, routed.table()))
            if of != model.name:
                faults.append(Omission("alias", name, _clash(of, name, model.name)))
        else:
            omissions.append(Omission("alias", name, f"its model {model.name} is left out"))
    made = tuple((section, name, table) for section, (_, table) in tables.items())
    return ModelEntry(made, (*omissions, *faults), tuple(faults), tuple(needs))


def _collision(offer: ProviderTable) -> Omission:
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
    switched_off = not model.active or provider is None or not provider.active
    return Omission("model", model.name, f"{at}{reason}", switched_off)
