"""Plans `--replace`: after a merge, the rows that the imported project does not have are removed.

Only what would be rendered goes. What is not the gateway's business (other types of models and their mappings, rows
that are switched off, aliases of other contexts) stays, and so does everything the catalogue knows of models that stay.
"""

from __future__ import annotations

from model_registry.entities.function import Function, FunctionDraft, Mapping, MappingDraft
from model_registry.entities.model import GATEWAY_CONTEXTS, Model, ModelDraft
from model_registry.gateways.tensorzero.project import Project
from model_registry.gateways.tensorzero.rendering.function_tables import own_variants, why_mapping_left_out
from model_registry.gateways.tensorzero.rendering.provider_tables import section_of, why_left_out
from model_registry.imports.plan import Planner, WantedRow
from model_registry.snapshot.snapshot import Snapshot

_WHY = "the project does not have it"


def remove_the_rest(project: Project, planner: Planner) -> None:
    """Plan the removal of everything that the registry would render and the project does not have."""
    after = planner.snapshot.preview(planner.operations)
    mappings = _mappings(after, planner)
    _functions(after, mappings, planner)
    _models(project, after, mappings, planner)
    for section in after.sections:
        if section.name not in project.sections:
            planner.delete("config_sections", section, "section", section.name, _WHY)
    for file in after.files:
        if file.path not in project.files:
            planner.delete("config_files", file, "file", file.path, _WHY)


def _mappings(after: Snapshot, planner: Planner) -> list[Mapping]:
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


def _functions(after: Snapshot, staying: list[Mapping], planner: Planner) -> None:
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


def _models(project: Project, after: Snapshot, staying: list[Mapping], planner: Planner) -> None:
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
