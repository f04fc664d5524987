"""Plans the import of a project, so that the registry holds it. Pure; the caller writes.

Merging: what the project mentions becomes as the project has it, and everything else stays as it is, also the
catalogue's own columns (capabilities, descriptions ...) of rows that the project mentions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace as with_changes

from model_registry.entities.model import GATEWAY_CONTEXTS
from model_registry.gateways.tensorzero.compare import refuse_losses
from model_registry.gateways.tensorzero.importing.functions import import_functions, used_shorthands
from model_registry.gateways.tensorzero.importing.models import import_models
from model_registry.gateways.tensorzero.importing.providers import provider_key
from model_registry.gateways.tensorzero.importing.replace import remove_the_rest
from model_registry.gateways.tensorzero.project import MODEL_TABLES, Problems, Project, Table
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
