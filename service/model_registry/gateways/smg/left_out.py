"""What a gateway carries and SMG cannot say: it knows servers of our own nodes, and the models on them. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from model_registry.entities.provider_types import PROVIDER_TYPES
from model_registry.gateways.omission import Omission
from model_registry.snapshot.snapshot import Snapshot
from model_registry.snapshot.table import Table

_TABLES = ("model_providers", "model_aliases", "functions", "config_sections", "config_files")

_BESIDE = (
    "keep a gateway of another kind before it, whose providers have route_by = gateway:NAME, with the name of this one"
)


@dataclass(slots=True)
class OtherContent:
    """What is left out of one gateway's lists, besides deployments. Kept while the tables stay the same."""

    _tables: tuple[Table[Any], ...] = ()
    _known: tuple[Omission, ...] = ()

    def omissions(self, snapshot: Snapshot) -> tuple[Omission, ...]:
        """Return the omissions, given what the gateway carries."""
        tables = tuple(snapshot.tables[name] for name in _TABLES)
        if len(tables) != len(self._tables) or any(a is not b for a, b in zip(tables, self._tables, strict=True)):
            self._known, self._tables = tuple(_omissions(snapshot)), tables
        return self._known


def _omissions(snapshot: Snapshot) -> Iterator[Omission]:
    for provider in snapshot.providers:
        kind = PROVIDER_TYPES.get(provider.type)
        if provider.active and not (kind and kind.routable):
            yield _omission("provider", provider.name, f"SMG asks our own servers, and none of type {provider.type}")
    for alias in snapshot.aliases:
        yield _omission("alias", alias.alias, "SMG knows a model by the name that its server has for it")
    for function in snapshot.functions:
        yield _omission("function", function.name, "SMG has no functions: callers name a model")
    for section in snapshot.sections:
        yield _omission("section", section.name, "SMG has nothing like it")
    for file in snapshot.files:
        yield _omission("file", file.path, "SMG reads no templates and no schemas")


def _omission(kind: str, name: str, reason: str) -> Omission:
    return Omission(kind, name, reason, switched_off=True, instead=_BESIDE)
