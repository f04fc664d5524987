"""The models of a project as rows: providers first, then one row for each model on each of its providers."""

from __future__ import annotations

from collections.abc import Iterator

from model_registry.entities.alias import GATEWAY_CONTEXTS
from model_registry.entities.model import Model, ModelDraft
from model_registry.entities.provider import Provider, ProviderDraft
from model_registry.gateways.tensorzero.importing.ledger import Ledger, Wanted
from model_registry.gateways.tensorzero.importing.model_rows import KINDS, ModelIds, write_models
from model_registry.gateways.tensorzero.importing.offers import Defaults, ImportedOffer, credential_defaults, read_offer
from model_registry.gateways.tensorzero.importing.providers import Providers
from model_registry.gateways.tensorzero.importing.report import same, short
from model_registry.gateways.tensorzero.project import MODEL_TABLES, Project, Table
from model_registry.gateways.tensorzero.rendering.provider_tables import section_of

_RESPONSES = "responses::"
"""`openai::responses::<model>` is OpenAI's other API, and no part of the model's name."""


def import_models(project: Project, shorthands: dict[str, tuple[str, str]], ledger: Ledger) -> ModelIds:
    """Plan the rows of every model that the project has a table for, and of the shorthands its variants use."""
    aliases = _aliases(project, ledger)
    told = project.table("provider_types")
    offers = [
        offer
        for section in MODEL_TABLES
        for name, table in project.table(section).items()
        if (section, name) not in aliases
        for offer in _offers(section, name, table, credential_defaults([told]), ledger)
    ]
    ledger.problems.stop_if_any()
    # A row that names no credential gets what the registry's section and the project's say together.
    known_sections = [row.value for row in ledger.snapshot.sections.where("name", "provider_types")]
    providers = Providers(ledger.snapshot, credential_defaults([*known_sections, told]), ledger.new_id)
    rows = providers.assign(offers)
    plain = {name: providers.for_shorthand(kind)[0] for name, (kind, _) in shorthands.items()}
    _write_providers([*rows, *plain.values()], providers, ledger)
    known = ModelIds()
    write_models(project, list(zip(offers, rows, strict=True)), known, ledger)
    for name, (_, model_id) in shorthands.items():
        known.ids[name] = _write_shorthand(name, model_id, plain[name], known, ledger)
    for (section, alias), target in aliases.items():
        if section == "models":
            known.ids[alias] = target.id
        ledger.note("unchanged", KINDS[section], alias, f"an alias of {target.name}")
    known.names |= {row.id: row.name for row in ledger.snapshot.models if row.id not in known.names}
    return known


def _aliases(project: Project, ledger: Ledger) -> dict[tuple[str, str], Model]:
    """The models of the project that are only another name for a model of the registry, as it renders its aliases."""
    found: dict[tuple[str, str], Model] = {}
    for section in MODEL_TABLES:
        tables = project.table(section)
        for name, table in tables.items():
            aliases = [a for a in ledger.snapshot.aliases.where("alias", name) if a.context in GATEWAY_CONTEXTS]
            target = ledger.snapshot.models.get(aliases[0].model_id) if aliases else None
            if target is None or section_of(target) != section or _has_model(section, name, ledger):
                continue
            if target.name in tables and same(table, tables[target.name]):
                found[section, name] = target
            elif not ledger.replace:
                message = f"is an alias of {target.name} in the registry, and the project says something else of it"
                ledger.problems.add((section, name), message)
    return found


def _has_model(section: str, name: str, ledger: Ledger) -> bool:
    return any(section_of(row) == section for row in ledger.snapshot.models.where("name", name))


def _offers(section: str, name: str, table: Table, defaults: Defaults, ledger: Ledger) -> Iterator[ImportedOffer]:
    """A model's provider tables, in the order of its routing."""
    for key in table["routing"]:
        offer = read_offer((section, name, "providers", key), table["providers"][key], defaults)
        # Every table is held against the draft of its row, also where the row is there already.
        ledger.check(_wanted_provider(Provider(id="", name="any", **offer.provider), offer))
        yield offer


def _wanted_provider(row: Provider, offer: ImportedOffer) -> Wanted:
    where = f" at {row.api_base}" if row.api_base else ""
    key = f", key in {row.api_key_env_var}" if row.api_key_env_var else ""
    return Wanted(
        table="model_providers",
        kind="provider",
        name=row.name,
        path=offer.path,
        values={"name": row.name, "active": True, **offer.provider},
        draft=ProviderDraft,
        keys=offer.columns,
        summary=f"{row.type}{where}{key}",
    )


def _write_providers(rows: list[Provider], providers: Providers, ledger: Ledger) -> None:
    for row in {row.id: row for row in rows}.values():
        old = ledger.snapshot.providers.get(row.id)
        offer = providers.new.get(row.id)
        if offer:
            wanted = _wanted_provider(row, offer)
        else:
            values: Table = {"active": True} if old else {"name": row.name, "type": row.type}
            wanted = Wanted("model_providers", "provider", row.name, (), values, ProviderDraft, summary=row.type)
        ledger.write(wanted, old, row.id)


def _write_shorthand(name: str, model_id: str, provider: Provider, known: ModelIds, ledger: Ledger) -> str:
    rows = ledger.snapshot.models.where("name", name)
    old = next((row for row in rows if row.provider_id == provider.id), rows[0] if rows else None)
    values: Table = {"active": True}
    if old is None:
        model_id = model_id.removeprefix(_RESPONSES) if provider.type == "openai" else model_id
        values |= {"provider_id": provider.id, "name": name, "model_id": model_id}
    summary = f"{short(model_id)} on {provider.name}, by the gateway's shorthand"
    row_id = ledger.write(Wanted("models", "model", name, ("functions",), values, ModelDraft, summary=summary), old)
    known.names[row_id] = name
    known.rows.add(row_id)
    return row_id
