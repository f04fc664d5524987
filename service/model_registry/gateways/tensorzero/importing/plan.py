"""A project into the registry: what has to be written so that the registry holds it. Pure; whoever asks writes.

Merging: what the project mentions becomes what the project says, and everything else stays as it is, also the
catalogue's own columns (capabilities, descriptions ...) of rows that the project mentions.
"""

from __future__ import annotations

from collections.abc import Callable

from model_registry.gateways.tensorzero.importing.functions import import_functions, used_shorthands
from model_registry.gateways.tensorzero.importing.ledger import Ledger, Wanted
from model_registry.gateways.tensorzero.importing.models import import_models
from model_registry.gateways.tensorzero.importing.replace import remove_the_rest
from model_registry.gateways.tensorzero.importing.report import ImportPlan
from model_registry.gateways.tensorzero.importing.routes import without_routes
from model_registry.gateways.tensorzero.importing.verify import refuse_losses
from model_registry.gateways.tensorzero.project import Problems, Project
from model_registry.snapshot.snapshot import Snapshot

_BY_ENTRY = frozenset({"metrics", "tools", "evaluations", "optimizers", "provider_types"})
"""Sections whose entries have names of their own: the registry's other entries stay."""


def plan_import(
    project: Project, snapshot: Snapshot, new_id: Callable[[], str], *, replace: bool = False
) -> ImportPlan:
    """What it takes for the registry to hold this project. Nothing, when it does.

    Args:
        project: what is to be imported.
        snapshot: the registry as it is.
        new_id: makes the id of a new row.
        replace: make the registry's gateway project exactly this one, instead of merging it in.

    Raises:
        InvalidConfiguration: with every problem found, each with its file, its key and the reason.
    """
    snapshot = snapshot.without_fleet()
    project, routes = without_routes(project, snapshot)
    problems = Problems(project)
    ledger = Ledger(snapshot, new_id, problems, replace=replace)
    models = import_models(project, used_shorthands(project), ledger)
    import_functions(project, models, ledger)
    _import_sections(project, ledger)
    _import_files(project, ledger)
    for where, words in project.rewritten:
        ledger.note("normalised", "project", where, words)
    for route in routes:
        ledger.note("normalised", "route", route, "left to the registry, which renders the routes to live deployments")
    problems.stop_if_any()
    if replace:
        remove_the_rest(project, ledger)
    refuse_losses(project, snapshot.preview(ledger.operations), exact=replace)
    return ImportPlan(tuple(ledger.operations), tuple(ledger.report))


def _import_sections(project: Project, ledger: Ledger) -> None:
    for name, value in project.sections.items():
        old = next(iter(ledger.snapshot.sections.where("name", name)), None)
        whole = {**old.value, **value} if old and name in _BY_ENTRY and not ledger.replace else value
        values = {"value": whole} if old else {"name": name, "value": whole}
        ledger.write(Wanted("config_sections", "section", name, (name,), values), old)


def _import_files(project: Project, ledger: Ledger) -> None:
    for path, content in sorted(project.files.items()):
        old = next(iter(ledger.snapshot.files.where("path", path)), None)
        values = {"content": content} if old else {"path": path, "content": content}
        size = f"{len(content.encode())} bytes"
        ledger.write(
            Wanted(
                "config_files",
                "file",
                path,
                (),
                values,
                summary=size,
                shown=lambda _, value: f"{len(value)} characters",
            ),
            old,
        )
