"""The rows of models: one for each model on each of its providers, and what becomes of the rows there were."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from model_registry.entities.model import ROUTED_TYPES, Model, ModelDraft
from model_registry.entities.provider import Provider
from model_registry.gateways.tensorzero.importing.ledger import Ledger, Wanted
from model_registry.gateways.tensorzero.importing.offers import ImportedOffer, own_extras
from model_registry.gateways.tensorzero.importing.providers import provider_key
from model_registry.gateways.tensorzero.importing.report import short
from model_registry.gateways.tensorzero.project import MODEL_TABLES, Project, Table
from model_registry.gateways.tensorzero.rendering.provider_tables import section_of

KINDS = {"models": "model", "embedding_models": "embedding model"}
"""What a report calls the entries of a section."""


@dataclass(slots=True)
class ModelIds:
    """What the functions of a project may name: models of its own, and shorthands."""

    ids: dict[str, str] = field(default_factory=dict)
    """Model key -> the row a mapping refers to: the first in the routing."""
    names: dict[str, str] = field(default_factory=dict)
    """Row -> model name, for the report."""
    rows: set[str] = field(default_factory=set)
    """The rows of the project's models. Others of the same name may be gone or switched off after the import."""


def write_models(project: Project, rows: list[tuple[ImportedOffer, Provider]], known: ModelIds, ledger: Ledger) -> None:
    """Plan the rows of these models, each on the provider that its offer got."""
    by_model: dict[tuple[str, str], list[tuple[ImportedOffer, Provider]]] = {}
    for offer, provider in rows:
        by_model.setdefault((offer.section, offer.model), []).append((offer, provider))
    for (section, name), offered in by_model.items():
        table = project.table(section)[name]
        matched = _matched(project, offered, ledger)
        model_extras = {key: value for key, value in table.items() if key not in {"routing", "providers"}}
        ids = []
        for place, ((offer, provider), old) in enumerate(zip(offered, matched, strict=True)):
            wanted = _wanted_model(offer, provider, place, old, {} if place else model_extras)
            ids.append(ledger.write(wanted, old))
            for words in _normalised(table["providers"][offer.key], offer, provider):
                ledger.note("normalised", wanted.kind, wanted.name, words)
        known.names |= dict.fromkeys(ids, name)
        known.rows.update(ids)
        if section == "models":
            known.ids[name] = ids[0]
        kept = {row.id for row in matched if row}
        if not ledger.replace:
            _keep_behind(section, name, [offer for offer, _ in offered], kept, ledger)


def _normalised(table: Table, offer: ImportedOffer, provider: Provider) -> Iterator[str]:
    """What the gateway will be told in other words than the project's."""
    for column, told in (("api_base", provider.api_base), ("api_key_env_var", provider.api_key_env_var)):
        for key in offer.columns[column]:
            if column == "api_base" and table.get(key, told) != told and key not in provider.tensorzero:
                yield f"{key} {short(table[key])} -> {short(told)}"
            elif column == "api_key_env_var" and told and key not in table:
                yield f"{key} left out -> env::{told}, the gateway's default"


def _matched(project: Project, offered: list[tuple[ImportedOffer, Provider]], ledger: Ledger) -> list[Model | None]:
    """The row that each offer has already: on its provider, or under its key, which then moves to the provider."""
    first = offered[0][0]
    rows = ledger.snapshot.models.where("name", first.model)
    if all(first.model in project.table(name) for name in MODEL_TABLES):
        rows = [row for row in rows if (row.model_type == "embedding") == (first.section == "embedding_models")]
    left = {row.id: row for row in rows}
    found: dict[int, Model] = {}
    for index, (_, provider) in enumerate(offered):
        row = next((row for row in left.values() if row.provider_id == provider.id), None)
        if row:
            found[index] = left.pop(row.id)
    for index, (offer, _) in enumerate(offered):
        keyed = [r for r in left.values() if provider_key(r, ledger.snapshot.providers.get(r.provider_id)) == offer.key]
        if index not in found and keyed:
            found[index] = left.pop(keyed[0].id)
    return [found.get(index) for index in range(len(offered))]


def _wanted_model(
    offer: ImportedOffer, provider: Provider, place: int, old: Model | None, model_extras: Table
) -> Wanted:
    of_row = own_extras(provider)
    extras = {key: value for key, value in offer.extras.items() if key not in of_row}
    tensorzero: Table = {"provider": extras, "model": model_extras}
    tensorzero = {key: value for key, value in tensorzero.items() if value}
    if offer.key != provider.name:
        tensorzero["provider_key"] = offer.key
    model_type = "embedding" if offer.section == "embedding_models" else "chat"
    if old and model_type == "chat" and old.model_type in ROUTED_TYPES:
        model_type = old.model_type
    return Wanted(
        table="models",
        kind=KINDS[offer.section],
        name=offer.model if not place and offer.key == provider.name else f"{offer.model} on {provider.name}",
        path=offer.path,
        values={
            "provider_id": provider.id,
            "name": offer.model,
            "model_id": offer.model_id,
            "model_type": model_type,
            "routing_priority": place,
            "tensorzero": tensorzero,
            "active": True,
        },
        draft=ModelDraft,
        keys=offer.columns,
        summary=f"{short(offer.model_id)} on {provider.name}",
        shown=lambda column, value: _provider_name(value, provider) if column == "provider_id" else value,
    )


def _provider_name(value: Any, provider: Provider) -> Any:  # noqa: ANN401 (a column's value)
    return provider.name if value == provider.id else "another provider"


def _keep_behind(section: str, name: str, offers: list[ImportedOffer], kept: set[str], ledger: Ledger) -> None:
    """Rows of the same name that the project does not mention stay, but come after those that it does.

    One whose key the project uses for another provider cannot stay in the routing.
    """
    same_name = ledger.snapshot.models.where("name", name)
    rows = [row for row in same_name if row.id not in kept and section_of(row) == section and row.active]
    keys = {offer.key for offer in offers}
    in_front = any(row.routing_priority < len(offers) for row in rows)
    for place, row in enumerate(rows, len(offers)):
        provider = ledger.snapshot.providers.get(row.provider_id)
        values: Table = {"routing_priority": place} if in_front else {}
        if "model" in row.tensorzero:
            # Keys of the model's table: the project says which there are.
            values["tensorzero"] = {key: value for key, value in row.tensorzero.items() if key != "model"}
        if provider_key(row, provider) in keys:
            values |= {"active": False}
        here = f"{name} on {provider.name if provider else row.provider_id}"
        ledger.write(Wanted("models", KINDS[section], here, (section, name), values, ModelDraft), row)
