"""Plans the import of a project, so that the registry holds it. Pure; the caller writes.

Merging: what the project mentions becomes as the project has it, and everything else stays as it is, also the
catalogue's own columns (capabilities, descriptions ...) of rows that the project mentions.

Replacing: after a merge, the rows that the project does not have are removed. Only what would be rendered goes. What is
not the gateway's business (other types of models and their mappings, rows that are switched off, aliases of other
contexts) stays, and so does everything the catalogue knows of models that stay.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace as with_changes

from model_registry.entities.function import Function, FunctionDraft, Mapping, MappingDraft
from model_registry.entities.model import GATEWAY_CONTEXTS, Model, ModelDraft
from model_registry.gateways.tensorzero.compare import refuse_losses
from model_registry.gateways.tensorzero.importing.functions import import_functions, used_shorthands
from model_registry.gateways.tensorzero.importing.models import import_models
from model_registry.gateways.tensorzero.project import MODEL_TABLES, Problems, Project, Table
from model_registry.gateways.tensorzero.rendering.function_tables import own_variants, why_mapping_left_out
from model_registry.gateways.tensorzero.rendering.provider_tables import provider_key, section_of, why_left_out
from model_registry.imports.plan import ImportPlan, Planner, WantedRow
from model_registry.snapshot.difference import same
from model_registry.snapshot.live_deployments import is_routed
from model_registry.snapshot.snapshot import Snapshot

_BY_ENTRY = frozenset({"metrics", "tools", "evaluations", "optimizers", "provider_types"})
"""Sections whose entries have names of their own: the registry's other entries stay."""

_OF_A_ROUTE = ("api_base", "model_name")
"""Keys in which the table of a route differs from the table of its provider."""


def plan_import(
    project: Project, snapshot: Snapshot, new_id: Callable[[], str], *, replace: bool = False
) -> ImportPlan:
    """Plan what has to be written so that the registry holds this project: nothing, when it does.

    Args:
        project: what is to be imported.
        snapshot: the registry as it is.
        new_id: makes the id of a new row.
        replace: make the registry's gateway project exactly this one, instead of merging it in.

    Raises:
        InvalidConfiguration: with every problem found, each with its file, its key and the reason.
    """
    snapshot = snapshot.without_fleet()
    project, routes = _without_routes(project, snapshot)
    problems = Problems(project)
    planner = Planner(snapshot, new_id, replace=replace, on_problem=problems.add)
    models = import_models(project, used_shorthands(project), planner, problems)
    import_functions(project, models, planner)
    _import_sections(project, planner)
    _import_files(project, planner)
    for where, words in project.upgraded:
        planner.note("upgraded", "project", where, words)
    for where, words in project.rewritten:
        planner.note("normalised", "project", where, words)
    for route in routes:
        planner.note("normalised", "route", route, "left to the registry, which renders the routes to live deployments")
    problems.stop_if_any()
    if replace:
        remove_the_rest(project, planner)
    refuse_losses(project, snapshot.preview(planner.operations), exact=replace)
    return planner.plan()


def _import_sections(project: Project, planner: Planner) -> None:
    for name, value in project.sections.items():
        old = next(iter(planner.snapshot.sections.where("name", name)), None)
        whole = {**old.value, **value} if old and name in _BY_ENTRY and not planner.replace else value
        values = {"value": whole} if old else {"name": name, "value": whole}
        planner.upsert(WantedRow("config_sections", "section", name, values, (name,)), old)


def _import_files(project: Project, planner: Planner) -> None:
    for path, content in sorted(project.files.items()):
        old = next(iter(planner.snapshot.files.where("path", path)), None)
        values = {"content": content} if old else {"path": path, "content": content}
        size = f"{len(content.encode())} bytes"
        planner.upsert(
            WantedRow(
                "config_files", "file", path, values, summary=size, shown=lambda _, value: f"{len(value)} characters"
            ),
            old,
        )


def _without_routes(project: Project, snapshot: Snapshot) -> tuple[Project, list[str]]:
    """Remove the routes to live deployments that this registry renders by itself; return their keys for the report.

    A provider is one when the registry's row of its model is routed by deployments, and it is called after that row and
    a node, and says the same but for the address. What says anything else is somebody's own, and stays.
    """
    tree, dropped = dict(project.tree), []
    for section in MODEL_TABLES:
        for name, model in project.table(section).items():
            if routes := list(_routes(model, set(_routed_keys(snapshot, name)))):
                tree[section] = {**tree[section], name: _without(model, routes)}
                dropped += [f"{name}.{key}" for key in routes]
    return with_changes(project, tree=tree) if dropped else project, dropped


def _routed_keys(snapshot: Snapshot, name: str) -> Iterator[str]:
    """Iterate over the provider keys of this model that have routes; an alias has those of its model."""
    aliases = (a for a in snapshot.aliases.where("alias", name) if a.context in GATEWAY_CONTEXTS)
    targets = [snapshot.models.get(alias.model_id) for alias in aliases]
    for named in (name, *(target.name for target in targets if target)):
        for row in snapshot.models.where("name", named):
            provider = snapshot.providers.get(row.provider_id)
            if is_routed(provider):
                yield provider_key(row, provider)


def _routes(model: Table, routed: set[str]) -> Iterator[str]:
    providers = model["providers"]
    for key in model["routing"]:
        owners = (providers[k] for k in routed if k in providers and key.startswith(f"{k}@"))
        if any(same(_rest(providers[key]), _rest(own)) for own in owners):
            yield key


def _rest(table: Table) -> Table:
    return {key: value for key, value in table.items() if key not in _OF_A_ROUTE}


def _without(model: Table, routes: list[str]) -> Table:
    routing = [key for key in model["routing"] if key not in routes]
    return {**model, "routing": routing, "providers": {key: model["providers"][key] for key in routing}}


_WHY = "the project does not have it"


def remove_the_rest(project: Project, planner: Planner) -> None:
    """Plan the removal of everything that the registry would render and the project does not have."""
    after = planner.snapshot.preview(planner.operations)
    mappings = _remove_mappings(after, planner)
    _remove_functions(after, mappings, planner)
    _remove_models(project, after, mappings, planner)
    for section in after.sections:
        if section.name not in project.sections:
            planner.delete("config_sections", section, "section", section.name, _WHY)
    for file in after.files:
        if file.path not in project.files:
            planner.delete("config_files", file, "file", file.path, _WHY)


def _remove_mappings(after: Snapshot, planner: Planner) -> list[Mapping]:
    """Plan the removal of variants. Return the mappings that stay."""
    staying = []
    for mapping in after.mappings:
        (function,) = after.functions.where("key", (mapping.service_name, mapping.function_name))
        name = f"{function.name}.{mapping.variant_name}"
        stand_in = mapping.fallback_model_id
        if mapping.id in planner.kept:
            staying.append(mapping)
        elif why_mapping_left_out(after, mapping.model_id) is None:
            planner.delete("service_model_mappings", mapping, "variant", name, _WHY)
        elif stand_in and why_mapping_left_out(after, stand_in) is None:
            wanted = WantedRow(
                "service_model_mappings", "variant", name, {"fallback_model_id": None}, draft=MappingDraft
            )
            planner.upsert(wanted, mapping)
            staying.append(mapping.model_copy(update={"fallback_model_id": None}))
        else:
            staying.append(mapping)
    return staying


def _remove_functions(after: Snapshot, staying: list[Mapping], planner: Planner) -> None:
    used = {(mapping.service_name, mapping.function_name) for mapping in staying}
    for function in after.functions:
        key = (function.service_name, function.function_name)
        if function.id in planner.kept or not _is_rendered(after, function):
            continue
        if key not in used:
            planner.delete("functions", function, "function", function.name, _WHY)
        elif own_variants(function):
            kept = {k: v for k, v in function.tensorzero.items() if k not in {"variants", "experimentation"}}
            wanted = WantedRow("functions", "function", function.name, {"tensorzero": kept}, draft=FunctionDraft)
            planner.upsert(wanted, function)


def _is_rendered(after: Snapshot, function: Function) -> bool:
    mappings = after.mappings.where("function", (function.service_name, function.function_name))
    return bool(own_variants(function)) or any(why_mapping_left_out(after, m.model_id) is None for m in mappings)


def _remove_models(project: Project, after: Snapshot, staying: list[Mapping], planner: Planner) -> None:
    gone = [
        row
        for row in after.models
        if row.id not in planner.kept and not why_left_out(row, after.providers.get(row.provider_id))
    ]
    referred = {model for mapping in staying for model in (mapping.model_id, mapping.fallback_model_id)}
    deleted = {row.id for row in gone if row.id not in referred}
    for alias in after.aliases:
        target = after.models.get(alias.model_id)
        section = section_of(target) if target else None
        named = alias.context in GATEWAY_CONTEXTS and section and alias.alias not in project.table(section)
        if named or alias.model_id in deleted:
            planner.delete("model_aliases", alias, "alias", alias.alias, _WHY)
    for row in gone:
        if row.id in deleted:
            planner.delete("models", row, "model", _shown(after, row), _WHY)
        else:
            wanted = WantedRow("models", "model", _shown(after, row), {"active": False}, draft=ModelDraft)
            planner.upsert(wanted, row)
    emptied = {row.provider_id for row in gone} - {row.provider_id for row in after.models if row.id not in deleted}
    for provider in after.providers:
        if provider.id in emptied and provider.id not in planner.kept:
            planner.delete("model_providers", provider, "provider", provider.name, "none of its models is left")


def _shown(after: Snapshot, row: Model) -> str:
    provider = after.providers.get(row.provider_id)
    return f"{row.name} on {provider.name}" if provider else row.name
