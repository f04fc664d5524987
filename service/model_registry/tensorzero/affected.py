"""What of a configuration hangs on which rows: the names and functions to look at again after a change."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from model_registry.catalog.snapshot import Snapshot
from model_registry.entities.alias import Alias
from model_registry.entities.base import Row
from model_registry.entities.function import Function
from model_registry.entities.mapping import Mapping
from model_registry.entities.model import Model
from model_registry.entities.provider import Provider

CONFIGURATION_TABLES = frozenset(
    {"model_providers", "models", "model_aliases", "functions", "service_model_mappings", "config_sections"}
)
"""The tables that a configuration is made of."""

FunctionKey = tuple[str, str]
"""Service and function."""


@dataclass(slots=True)
class Affected:
    """Names of models, and functions."""

    names: set[str] = field(default_factory=set)
    functions: set[FunctionKey] = field(default_factory=set)

    def add(self, snapshot: Snapshot, rows: Iterable[Row]) -> None:
        """What hangs on these rows in this snapshot. A changed row is added twice: as it was, and as it is."""
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

    def _add_model(self, snapshot: Snapshot, model: Model) -> None:
        """The whole routed model: what one row says, the rows that share its name, their aliases and functions have."""
        self.names.add(model.name)
        for row in (model, *snapshot.models.where("name", model.name)):
            self.names.update(alias.alias for alias in snapshot.aliases.where("model", row.id))
            for mapping in snapshot.mappings.where("model", row.id):
                self.functions.add((mapping.service_name, mapping.function_name))
