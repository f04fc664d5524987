"""The context of rules: the rest of a configuration that a part of it refers to. Made from a tree or a snapshot."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from model_registry.gateways.tensorzero.project import Table

OUTBOUND_LIMIT_MS = 900_000
"""The gateway's default of `gateway.global_outbound_http_timeout_ms`."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Look-ups into the rest of the configuration."""

    model: Callable[[str], Table | None]
    """Returns a table under `[models]`."""
    embedding_model: Callable[[str], Table | None]
    has_function: Callable[[str], bool]
    """Whether the function has a table under `[functions]`."""
    sections: Mapping[str, Any]
    """The top-level tables that are neither models nor functions."""

    def has(self, section: str, name: str) -> bool:
        """Whether a top-level table has an entry, such as a tool or a metric."""
        table = self.sections.get(section)
        return isinstance(table, Mapping) and name in table

    @property
    def outbound_limit_ms(self) -> int:
        """The upper limit of all timeouts."""
        gateway = self.sections.get("gateway")
        limit = gateway.get("global_outbound_http_timeout_ms") if isinstance(gateway, Mapping) else None
        return limit if isinstance(limit, int) else OUTBOUND_LIMIT_MS


def surroundings_of(tree: Mapping[str, Any]) -> Surroundings:
    """Make the context from a whole configuration."""

    def finder(section: str) -> Callable[[str], Table | None]:
        tables = tree.get(section)
        return lambda name: tables.get(name) if isinstance(tables, Mapping) else None

    functions = tree.get("functions")
    has_function = functions.__contains__ if isinstance(functions, Mapping) else lambda _: False
    return Surroundings(finder("models"), finder("embedding_models"), has_function, tree)
