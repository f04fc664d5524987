"""Plans the models of a project as rows: providers first, then one row for each model on each of its providers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace as with_changes

from model_registry.entities.model import GATEWAY_CONTEXTS, ROUTED_TYPES, Model, ModelDraft
from model_registry.entities.provider import Provider, ProviderDraft
from model_registry.gateways.tensorzero.importing.offers import (
    Defaults,
    ImportedOffer,
    credential_defaults,
    own_extras,
    read_offer,
)
from model_registry.gateways.tensorzero.importing.other_models import (
    KINDS,
    ModelIds,
    keep_behind,
    marks_of,
    switch_off,
    use_others,
)
from model_registry.gateways.tensorzero.importing.providers import Providers
from model_registry.gateways.tensorzero.importing.registry_entries import RegistryEntries
from model_registry.gateways.tensorzero.importing.settling import Settled
from model_registry.gateways.tensorzero.project import MODEL_TABLES, Problems, Project, Table
from model_registry.gateways.tensorzero.rendering.provider_tables import provider_key, section_of
from model_registry.imports.plan import Planner, WantedRow, short
from model_registry.imports.projects import Destination
from model_registry.snapshot.difference import same

_RESPONSES = "responses::"
"""`openai::responses::<model>` is OpenAI's other API, and no part of the model's name."""


def import_models(
    settled: Settled,
    shorthands: dict[str, tuple[str, str]],
    planner: Planner,
    problems: Problems,
    into: Destination,
) -> ModelIds:
    """Plan the rows of every model that the project has a table for, and of the shorthands its variants use."""
    project = settled.project
    here = RegistryEntries(planner.snapshot, into.gateway)
    aliases = _aliases(settled, planner, problems)
    section_of_types = project.table("provider_types")
    offers = [
        offer
        for section in MODEL_TABLES
        for name, table in project.table(section).items()
        if (section, name) not in aliases
        for offer in _offers(section, name, table, credential_defaults([section_of_types]), planner)
    ]
    problems.stop_if_any()
    # The defaults of a row without a credential: the registry's section, then the project's.
    known_sections = [row.value for row in planner.snapshot.sections.where("name", "provider_types")]
    providers = Providers(planner.snapshot, credential_defaults([*known_sections, section_of_types]), planner.new_id)
    rows = providers.assign(offers)
    plain = {name: providers.for_shorthand(kind) for name, (kind, _) in shorthands.items()}
    _write_providers([*rows, *plain.values()], providers, planner)
    known = ModelIds()
    use_others(settled, here, known, planner)
    _write_models(settled, list(zip(offers, rows, strict=True)), known, planner, here)
    for name, (_, model_id) in shorthands.items():
        known.ids[name] = _write_shorthand(name, model_id, plain[name], known, planner)
    for (section, alias), target in aliases.items():
        if section == "models":
            known.ids[alias] = target.id
        planner.note("unchanged", KINDS[section], alias, f"an alias of {target.name}")
    known.names |= {row.id: row.name for row in planner.snapshot.models if row.id not in known.names}
    return known


def _aliases(settled: Settled, planner: Planner, problems: Problems) -> dict[tuple[str, str], Model]:
    """Find the models of the project that are the registry's aliases, as it renders them."""
    aliases_of_registry: dict[tuple[str, str], Model] = {}
    for section in MODEL_TABLES:
        tables = settled.whole.table(section)
        for name, table in settled.project.table(section).items():
            aliases = [a for a in planner.snapshot.aliases.where("alias", name) if a.context in GATEWAY_CONTEXTS]
            target = planner.snapshot.models.get(aliases[0].model_id) if aliases else None
            if target is None or section_of(target) != section or _has_model(section, name, planner):
                continue
            if target.name in tables and same(table, tables[target.name]):
                aliases_of_registry[section, name] = target
            elif not planner.replace:
                message = f"is an alias of {target.name} in the registry, and the project says something else of it"
                problems.add((section, name), message)
    return aliases_of_registry


def _has_model(section: str, name: str, planner: Planner) -> bool:
    return any(section_of(row) == section for row in planner.snapshot.models.where("name", name))


def _offers(section: str, name: str, table: Table, defaults: Defaults, planner: Planner) -> Iterator[ImportedOffer]:
    """Read a model's provider tables, in the order of its routing."""
    for key in table["routing"]:
        offer = read_offer((section, name, "providers", key), table["providers"][key], defaults)
        # Every table is validated, also where its row exists.
        planner.validated(_wanted_provider(Provider(id="", name="any", **offer.provider), offer))
        yield offer


def _wanted_provider(row: Provider, offer: ImportedOffer) -> WantedRow:
    where = f" at {row.api_base}" if row.api_base else ""
    key = f", key in {row.api_key_env_var}" if row.api_key_env_var else ""
    return WantedRow(
        table="model_providers",
        kind="provider",
        name=row.name,
        path=offer.path,
        values={"name": row.name, "active": True, **offer.provider},
        draft=ProviderDraft,
        keys=offer.columns,
        summary=f"{row.type}{where}{key}",
    )


def _write_providers(rows: list[Provider], providers: Providers, planner: Planner) -> None:
    for row in {row.id: row for row in rows}.values():
        old = planner.snapshot.providers.get(row.id)
        offer = providers.new.get(row.id)
        if offer:
            wanted = _wanted_provider(row, offer)
        else:
            values: Table = {"active": True} if old else {"name": row.name, "type": row.type}
            wanted = WantedRow("model_providers", "provider", row.name, values, draft=ProviderDraft, summary=row.type)
        planner.upsert(wanted, old, row.id)


def _write_shorthand(name: str, model_id: str, provider: Provider, known: ModelIds, planner: Planner) -> str:
    rows = planner.snapshot.models.where("name", name)
    old = next((row for row in rows if row.provider_id == provider.id), rows[0] if rows else None)
    values: Table = {"active": True}
    if old is None:
        model_id = model_id.removeprefix(_RESPONSES) if provider.type == "openai" else model_id
        values |= {"provider_id": provider.id, "name": name, "model_id": model_id}
    summary = f"{short(model_id)} on {provider.name}, by the gateway's shorthand"
    row_id = planner.upsert(
        WantedRow("models", "model", name, values, ("functions",), ModelDraft, summary=summary), old
    )
    known.names[row_id] = name
    known.rows.add(row_id)
    return row_id


def _write_models(
    settled: Settled,
    rows: list[tuple[ImportedOffer, Provider]],
    known: ModelIds,
    planner: Planner,
    here: RegistryEntries,
) -> None:
    """Plan the rows of these models, each on the provider of its offer."""
    project = settled.project
    by_model: dict[tuple[str, str], list[tuple[ImportedOffer, Provider]]] = {}
    for offer, provider in rows:
        by_model.setdefault((offer.section, offer.model), []).append((offer, provider))
    for (section, name), offered in by_model.items():
        table = project.table(section)[name]
        matched = _matched(project, offered, planner, here)
        marks = marks_of(settled, here, section, name)
        model_extras = {key: value for key, value in table.items() if key not in {"routing", "providers"}}
        ids = []
        for rank, ((offer, provider), old) in enumerate(zip(offered, matched, strict=True)):
            wanted = _wanted_model(offer, provider, rank, old, {} if rank else model_extras)
            ids.append(planner.upsert(with_changes(wanted, marks=marks), old))
            for words in _normalised(table["providers"][offer.key], offer, provider):
                planner.note("normalised", wanted.kind, wanted.name, words)
        known.names |= dict.fromkeys(ids, name)
        known.rows.update(ids)
        if section == "models":
            known.ids[name] = ids[0]
        kept = {row.id for row in matched if row}
        if (section, name) in settled.taken:
            off = switch_off((section, name), kept, planner, here)
            known.instead |= dict.fromkeys(off, ids[0])
            kept |= off
        # A replaced project leaves what people added.
        stays = [row for row in here.models((section, name)) if here.owners_of_model(row) != settled.me]
        staying = stays if planner.replace else here.models((section, name))
        keep_behind((section, name), [offer for offer, _ in offered], [r for r in staying if r.id not in kept], planner)


def _normalised(table: Table, offer: ImportedOffer, provider: Provider) -> Iterator[str]:
    """Describe the keys that will be rendered otherwise than the project has them, with the same meaning."""
    for column, value in (("api_base", provider.api_base), ("api_key_env_var", provider.api_key_env_var)):
        for key in offer.columns[column]:
            if column == "api_base" and table.get(key, value) != value and key not in provider.tensorzero:
                yield f"{key} {short(table[key])} -> {short(value)}"
            elif column == "api_base" and value and key not in table and key not in provider.tensorzero:
                yield f"{key} left out -> {short(value)}, the gateway's default"
            elif column == "api_key_env_var" and value and key not in table:
                yield f"{key} left out -> env::{value}, the gateway's default"


def _matched(
    project: Project, offered: list[tuple[ImportedOffer, Provider]], planner: Planner, here: RegistryEntries
) -> list[Model | None]:
    """Find each offer's existing row: on its provider, or under its key, which then moves to the provider."""
    first = offered[0][0]
    rows = planner.snapshot.models.where("name", first.model)
    other = next(section for section in MODEL_TABLES if section != first.section)
    if first.model in project.table(other) or here.owners((other, first.model)):
        rows = [row for row in rows if (row.model_type == "embedding") == (first.section == "embedding_models")]
    left = {row.id: row for row in rows}
    matched: dict[int, Model] = {}
    for index, (_, provider) in enumerate(offered):
        row = next((row for row in left.values() if row.provider_id == provider.id), None)
        if row:
            matched[index] = left.pop(row.id)
    for index, (offer, _) in enumerate(offered):
        keyed = [
            r for r in left.values() if provider_key(r, planner.snapshot.providers.get(r.provider_id)) == offer.key
        ]
        if index not in matched and keyed:
            matched[index] = left.pop(keyed[0].id)
    return [matched.get(index) for index in range(len(offered))]


def _wanted_model(
    offer: ImportedOffer, provider: Provider, rank: int, old: Model | None, model_extras: Table
) -> WantedRow:
    of_row = own_extras(provider)
    extras = {key: value for key, value in offer.extras.items() if key not in of_row}
    tensorzero: Table = {"provider": extras, "model": model_extras}
    tensorzero = {key: value for key, value in tensorzero.items() if value}
    if offer.key != provider.name:
        tensorzero["provider_key"] = offer.key
    model_type = "embedding" if offer.section == "embedding_models" else "chat"
    if old and model_type == "chat" and old.model_type in ROUTED_TYPES:
        model_type = old.model_type
    ids = {provider.id: provider.name}
    return WantedRow(
        table="models",
        kind=KINDS[offer.section],
        name=offer.model if not rank and offer.key == provider.name else f"{offer.model} on {provider.name}",
        path=offer.path,
        values={
            "provider_id": provider.id,
            "name": offer.model,
            "model_id": offer.model_id,
            "model_type": model_type,
            "routing_priority": rank,
            "tensorzero": tensorzero,
            "active": True,
        },
        draft=ModelDraft,
        keys=offer.columns,
        summary=f"{short(offer.model_id)} on {provider.name}",
        shown=lambda column, value: ids.get(value, "another provider") if column == "provider_id" else value,
    )
