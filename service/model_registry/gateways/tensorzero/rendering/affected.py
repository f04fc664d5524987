"""Finds the models and functions of a configuration that changed rows affect. Rendering them is in `render.py`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from model_registry.entities.base import Row
from model_registry.entities.change import Change
from model_registry.entities.deployment import Deployment
from model_registry.entities.function import Function, Mapping
from model_registry.entities.model import Alias, Model
from model_registry.entities.node import Node
from model_registry.entities.provider import Provider
from model_registry.snapshot.live_deployments import is_routed
from model_registry.snapshot.snapshot import Snapshot

CONFIGURATION_TABLES = frozenset(
    {"model_providers", "models", "model_aliases", "functions", "service_model_mappings", "config_sections"}
)
"""The tables that a configuration is rendered from, except those written by nodes."""

FLEET_TABLES = frozenset({"model_deployments", "gpu_nodes"})
"""Tables written by nodes: they matter only for providers routed by deployments."""

FunctionKey = tuple[str, str]
"""Service and function."""


@dataclass(slots=True)
class Affected:
    """Names of affected models, and affected functions."""

    names: set[str] = field(default_factory=set)
    functions: set[FunctionKey] = field(default_factory=set)

    def add(self, snapshot: Snapshot, rows: Iterable[Row]) -> None:
        """Add everything that depends on these rows. Call for a changed row twice: with its old and its new version."""
        nodes: set[str] = set()
        for row in rows:
            match row:
                case Provider():
                    for model in snapshot.models.where("provider", row.id):
                        self._add_model(snapshot, model)
                case Model():
                    self._add_model(snapshot, row)
                case Alias():
                    self.names.add(row.alias)
                case Function() | Mapping():
                    self.functions.add((row.service_name, row.function_name))
                case Deployment() | Node():
                    # Also the node's other models: its free memory determines the order of routes.
                    nodes.add(row.node_id)
        for model in {model.id: model for node in nodes for model in routed_on(snapshot, node)}.values():
            self._add_names(snapshot, model)

    def _add_model(self, snapshot: Snapshot, model: Model) -> None:
        """Add the whole routed model: all rows with the name, their aliases and functions."""
        self._add_names(snapshot, model)
        for row in (model, *snapshot.models.where("name", model.name)):
            for mapping in snapshot.mappings.where("model", row.id):
                self.functions.add((mapping.service_name, mapping.function_name))

    def _add_names(self, snapshot: Snapshot, model: Model) -> None:
        self.names.add(model.name)
        for row in (model, *snapshot.models.where("name", model.name)):
            self.names.update(alias.alias for alias in snapshot.aliases.where("model", row.id))


def has_routes(snapshot: Snapshot) -> bool:
    """Whether any provider is routed by deployments; otherwise no deployment affects a configuration."""
    return any(map(is_routed, snapshot.providers.where("route_by", "deployments")))


def configuration_tables(snapshot: Snapshot) -> frozenset[str]:
    """Return the tables that the configuration of this snapshot is rendered from."""
    return CONFIGURATION_TABLES | FLEET_TABLES if has_routes(snapshot) else CONFIGURATION_TABLES


def routed_on(snapshot: Snapshot, node_id: str) -> Iterator[Model]:
    """Yield the models announced by a node whose providers are routed by deployments."""
    for deployment in snapshot.deployments.where("node", node_id):
        model = snapshot.models.get(deployment.model_id)
        if model is not None and is_routed(snapshot.providers.get(model.provider_id)):
            yield model


def concerns_routes(before: Snapshot, after: Snapshot, changes: Iterable[Change]) -> bool:
    """Whether nodes' changes between two snapshots may change the configuration. The cost grows with the changes."""
    if not has_routes(before) and not has_routes(after):
        return False
    for change in changes:
        if change.table in FLEET_TABLES:
            for snapshot in (before, after):
                row = snapshot.tables[change.table].get(change.row_id)
                if row is not None and any(routed_on(snapshot, row.node_id)):
                    return True
    return False
