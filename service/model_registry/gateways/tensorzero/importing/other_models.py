"""Rows of models that a project does not plan from its own tables: of others, whose it uses, and those left over."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from model_registry.entities.model import Model, ModelDraft
from model_registry.gateways.tensorzero.importing.offers import ImportedOffer
from model_registry.gateways.tensorzero.importing.registry_entries import Key, RegistryEntries
from model_registry.gateways.tensorzero.importing.settling import Settled
from model_registry.gateways.tensorzero.project import MODEL_TABLES, Table
from model_registry.gateways.tensorzero.rendering.provider_tables import provider_key
from model_registry.gateways.tensorzero.rendering.routed_models import group
from model_registry.imports.plan import Planner, WantedRow
from model_registry.imports.projects import NOBODY, model_marks

KINDS = {"models": "model", "embedding_models": "embedding model"}
"""Section -> the kind of its entries in a report."""


@dataclass(slots=True)
class ModelIds:
    """The models that functions of a project can name: its own, and shorthands."""

    ids: dict[str, str] = field(default_factory=dict)
    """Model key -> the row a mapping refers to: the first in the routing."""
    names: dict[str, str] = field(default_factory=dict)
    """Row -> model name, for the report."""
    rows: set[str] = field(default_factory=set)
    """The rows of the project's models. The import may remove or switch off others of the same name."""
    instead: dict[str, str] = field(default_factory=dict)
    """Row of another project that is switched off -> the row that its mappings refer to instead."""


def use_others(settled: Settled, here: RegistryEntries, known: ModelIds, planner: Planner) -> None:
    """Let functions name the models of other projects that this one has too, and note that they are its own as well."""
    for section, name in sorted(settled.shared | settled.kept):
        if section not in MODEL_TABLES:
            continue
        rows = here.models((section, name))
        if section == "models":
            known.ids[name] = group(planner.snapshot, section, name).offers[0].model.id
        known.names |= {row.id: name for row in rows}
        known.rows.update(row.id for row in rows)
        for row in rows if (section, name) in settled.shared else ():
            if here.owners_of_model(row):
                wanted = WantedRow("models", KINDS[section], name, {}, marks=marks_of(settled, here, section, name))
                planner.upsert(wanted, row)


def marks_of(settled: Settled, here: RegistryEntries, section: str, name: str) -> Callable[[Model | None], Table]:
    """Return what says whose a row of a model is."""

    def marks(old: Model | None) -> Table:
        before = here.owners_of_model(old) if old else NOBODY
        return model_marks(old, settled.owners((section, name), before), here.gateway)

    return marks


def switch_off(key: Key, kept: set[str], planner: Planner, here: RegistryEntries) -> set[str]:
    """Switch off the rows of another project's model that becomes as this one has it. Return their ids."""

    def nobodys(old: Model | None) -> Table:
        return model_marks(old, NOBODY, here.gateway)

    rows = [row for row in here.models(key) if row.id not in kept and here.owners_of_model(row) and row.active]
    for row in rows:
        provider = planner.snapshot.providers.get(row.provider_id)
        name = f"{row.name} on {provider.name if provider else row.provider_id}"
        wanted = WantedRow("models", KINDS[key[0]], name, {"active": False}, key, ModelDraft, marks=nobodys)
        planner.upsert(wanted, row)
    return {row.id for row in rows}


def keep_behind(key: Key, offers: list[ImportedOffer], rows: list[Model], planner: Planner) -> None:
    """Keep rows of the same name that the project does not mention behind those that it does.

    One whose key the project uses for another provider cannot stay in the routing.
    """
    section, name = key
    rows = [row for row in rows if row.active]
    keys = {offer.key for offer in offers}
    in_front = any(row.routing_priority < len(offers) for row in rows)
    for rank, row in enumerate(rows, len(offers)):
        provider = planner.snapshot.providers.get(row.provider_id)
        values: Table = {"routing_priority": rank} if in_front else {}
        if "model" in row.tensorzero:
            # The model's table has the project's keys only.
            values["tensorzero"] = {key: value for key, value in row.tensorzero.items() if key != "model"}
        if provider_key(row, provider) in keys:
            values |= {"active": False}
        here = f"{name} on {provider.name if provider else row.provider_id}"
        planner.upsert(WantedRow("models", KINDS[section], here, values, (section, name), ModelDraft), row)
