"""What of a configuration hangs on which rows: the names and functions to look at again after a change."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from model_registry.entities.alias import Alias
from model_registry.entities.base import Row
from model_registry.entities.change import Change
from model_registry.entities.deployment import Deployment
from model_registry.entities.function import Function
from model_registry.entities.mapping import Mapping
from model_registry.entities.model import Model
from model_registry.entities.node import Node
from model_registry.entities.provider import Provider
from model_registry.snapshot.live_deployments import is_routed
from model_registry.snapshot.snapshot import Snapshot

CONFIGURATION_TABLES = frozenset(
    {"model_providers", "models", "model_aliases", "functions", "service_model_mappings", "config_sections"}
)
"""The tables that a configuration is made of, as far as people write it."""

FLEET_TABLES = frozenset({"model_deployments", "gpu_nodes"})
"""What nodes do: it concerns a configuration where a provider is routed by deployments, and nowhere else."""

FunctionKey = tuple[str, str]
"""Service and function."""


@dataclass(slots=True)
class Affected:
    """Names of models, and functions."""

    names: set[str] = field(default_factory=set)
    functions: set[FunctionKey] = field(default_factory=set)

    def add(self, snapshot: Snapshot, rows: Iterable[Row]) -> None:
        """What hangs on these rows in this snapshot. A changed row is added twice: as it was, and as it is."""
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
                    # Also what else the node has loaded: how much of its memory is free decides where it stands.
                    nodes.add(row.node_id)
        for model in {model.id: model for node in nodes for model in routed_on(snapshot, node)}.values():
            self._add_names(snapshot, model)

    def _add_model(self, snapshot: Snapshot, model: Model) -> None:
        """The whole routed model: what one row says, the rows that share its name, their aliases and functions have."""
        self._add_names(snapshot, model)
        for row in (model, *snapshot.models.where("name", model.name)):
            for mapping in snapshot.mappings.where("model", row.id):
                self.functions.add((mapping.service_name, mapping.function_name))

    def _add_names(self, snapshot: Snapshot, model: Model) -> None:
        self.names.add(model.name)
        for row in (model, *snapshot.models.where("name", model.name)):
            self.names.update(alias.alias for alias in snapshot.aliases.where("model", row.id))


def has_routes(snapshot: Snapshot) -> bool:
    """Whether any provider is routed by deployments: where none is, no deployment concerns a configuration."""
    return any(map(is_routed, snapshot.providers.where("route_by", "deployments")))


def configuration_tables(snapshot: Snapshot) -> frozenset[str]:
    """The tables that the configuration of this snapshot is made of."""
    return CONFIGURATION_TABLES | FLEET_TABLES if has_routes(snapshot) else CONFIGURATION_TABLES


def routed_on(snapshot: Snapshot, node_id: str) -> Iterator[Model]:
    """The models of providers routed by deployments that a node has announced."""
    for deployment in snapshot.deployments.where("node", node_id):
        model = snapshot.models.get(deployment.model_id)
        if model is not None and is_routed(snapshot.providers.get(model.provider_id)):
            yield model


def concerns_routes(before: Snapshot, after: Snapshot, changes: Iterable[Change]) -> bool:
    """Whether what nodes did between two snapshots may make another configuration. Costs what happened."""
    if not has_routes(before) and not has_routes(after):
        return False
    for change in changes:
        if change.table in FLEET_TABLES:
            for snapshot in (before, after):
                row = snapshot.tables[change.table].get(change.row_id)
                if row is not None and any(routed_on(snapshot, row.node_id)):
                    return True
    return False
