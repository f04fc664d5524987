"""Plans the import of a project, so that the registry holds it. Pure; the caller writes.

Merging: what the project mentions becomes as the project has it, and everything else stays as it is, also the
catalogue's own columns (capabilities, descriptions ...) of rows that the project mentions. What other projects have is
settled before (`settling.py`). Replacing: after a merge, what the project does not have is removed (`removing.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace as with_changes

from model_registry.entities.model import GATEWAY_CONTEXTS
from model_registry.gateways.tensorzero.compare import refuse_losses
from model_registry.gateways.tensorzero.importing.content import content_of, missing_gateway
from model_registry.gateways.tensorzero.importing.functions import import_functions, used_shorthands
from model_registry.gateways.tensorzero.importing.models import import_models
from model_registry.gateways.tensorzero.importing.registry_entries import RegistryEntries
from model_registry.gateways.tensorzero.importing.removing import remove_the_rest
from model_registry.gateways.tensorzero.importing.sections import import_files, import_sections
from model_registry.gateways.tensorzero.importing.settling import Settled, settle
from model_registry.gateways.tensorzero.project import MODEL_TABLES, Problems, Project, Table
from model_registry.gateways.tensorzero.rendering.provider_tables import provider_key
from model_registry.imports.plan import ImportPlan, Planner
from model_registry.imports.projects import Destination
from model_registry.snapshot.difference import same
from model_registry.snapshot.live_deployments import is_routed
from model_registry.snapshot.snapshot import Snapshot

_OF_A_ROUTE = ("api_base", "model_name")
"""Keys in which the table of a route differs from the table of its provider."""


def plan_import(
    project: Project,
    snapshot: Snapshot,
    new_id: Callable[[], str],
    *,
    replace: bool = False,
    into: Destination = Destination(),  # noqa: B008 (frozen)
) -> ImportPlan:
    """Plan what has to be written so that the registry holds this project: nothing, when it does.

    Args:
        project: what is to be imported.
        snapshot: the registry as it is.
        new_id: makes the id of a new row.
        replace: remove what the registry has from this project's earlier imports, and the project has no more.
        into: the gateway, the project's name, and what is done about what other projects say otherwise.

    Raises:
        InvalidConfiguration: with every problem found, each with its file, its key and the reason.
        ImportConflict: with every value that another project has otherwise.
        Invalid: the gateway cannot have the content of a project.
    """
    content = content_of(snapshot.without_fleet(), into.gateway)
    project, routes = _without_routes(project, content)
    settled = settle(project, RegistryEntries(content, into.gateway), into)
    problems = Problems(settled.project)
    planner = Planner(content, new_id, replace=replace, on_problem=problems.add)
    _plan_rows(settled, planner, problems, snapshot.without_fleet(), into)
    _report(settled, planner, routes)
    problems.stop_if_any()
    if replace:
        remove_the_rest(settled, planner, snapshot.without_fleet(), into)
    after = content.preview(planner.operations)
    refuse_losses(settled.project, after, exact=replace and not into.me and not _of_projects(after))
    return planner.plan()


def _plan_rows(settled: Settled, planner: Planner, problems: Problems, whole: Snapshot, into: Destination) -> None:
    if gateway := missing_gateway(whole, into.gateway):
        planner.upsert(gateway, None)
    models = import_models(settled, used_shorthands(settled.project), planner, problems, into)
    import_functions(settled, models, planner, whole, into)
    import_sections(settled, planner, into)
    import_files(settled, planner, into)


def _of_projects(content: Snapshot) -> bool:
    """Whether anything belongs to a project. Then the registry says more than one project has."""
    rows = (*content.functions, *content.files)
    return any(row.project for row in rows) or any(row.projects for row in content.sections)


def _report(settled: Settled, planner: Planner, routes: Iterable[str]) -> None:
    for action, name, words in settled.notes:
        planner.note(action, "entry", name, words)
    for where, words in settled.project.upgraded:
        planner.note("upgraded", "project", where, words)
    for where, words in settled.project.rewritten:
        planner.note("normalised", "project", where, words)
    for route in routes:
        planner.note("normalised", "route", route, "left to the registry, which renders the routes to live deployments")


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
