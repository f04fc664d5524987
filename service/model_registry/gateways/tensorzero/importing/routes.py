"""Routes to live deployments in a project that a registry has rendered: facts about the world, and no settings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from model_registry.entities.alias import GATEWAY_CONTEXTS
from model_registry.gateways.tensorzero.importing.providers import provider_key
from model_registry.gateways.tensorzero.importing.report import same
from model_registry.gateways.tensorzero.project import MODEL_TABLES, Project, Table
from model_registry.snapshot.live_deployments import is_routed
from model_registry.snapshot.snapshot import Snapshot

_OF_A_ROUTE = ("api_base", "model_name")
"""What the table of a route says otherwise than the table of its provider."""


def without_routes(project: Project, snapshot: Snapshot) -> tuple[Project, list[str]]:
    """The project without the routes that this registry renders by itself, and the keys of those, for the report.

    A provider is one when the registry's row of its model is routed by deployments, and it is called after that row and
    a node, and says the same but for the address. What says anything else is somebody's own, and stays.
    """
    tree, dropped = dict(project.tree), []
    for section in MODEL_TABLES:
        for name, model in project.table(section).items():
            if routes := list(_routes(model, set(_routed_keys(snapshot, name)))):
                tree[section] = {**tree[section], name: _without(model, routes)}
                dropped += [f"{name}.{key}" for key in routes]
    return replace(project, tree=tree) if dropped else project, dropped


def _routed_keys(snapshot: Snapshot, name: str) -> Iterator[str]:
    """The provider keys of this model that have routes; an alias has those of its model."""
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
