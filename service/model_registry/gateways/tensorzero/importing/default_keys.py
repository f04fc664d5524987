"""Finds the default credentials of a project that would change what others mean, and those of others that it would get.

`provider_types.X.defaults` holds for every provider of the type without a credential of its own, of any project. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator

from model_registry.entities.provider_types import GATEWAY_TYPES, is_shorthand
from model_registry.gateways.tensorzero.compare import Difference
from model_registry.gateways.tensorzero.importing.conflicts import Conflict, shown
from model_registry.gateways.tensorzero.importing.offers import default_location
from model_registry.gateways.tensorzero.importing.registry_entries import RegistryEntries
from model_registry.gateways.tensorzero.importing.renaming import REFERENCES, matches
from model_registry.gateways.tensorzero.project import MODEL_TABLES, Project, Table, as_table
from model_registry.imports.projects import NOBODY, Owners
from model_registry.snapshot.difference import same

_SECTION = "provider_types"


def default_key_conflicts(project: Project, registry: RegistryEntries, me: Owners) -> Iterator[Conflict]:
    """Yield each provider type whose default credential would become another for somebody's entries."""
    stored = registry.section(_SECTION)
    own, known = project.table(_SECTION), stored.value if stored else {}
    for name in sorted(own.keys() | known.keys()):
        key = (_SECTION, name)
        others = registry.owners(key) - me
        if same(own.get(name), known.get(name)) or (others and name in own):
            continue
        owners = _relying_on(name, registry, me) if name in own else others
        if owners and (name in own or name in _types_without_key(project.tree, explicit=True)):
            yield Conflict(key, owners, (Difference(shown(key), known.get(name), own.get(name)),))


def _relying_on(name: str, registry: RegistryEntries, me: Owners) -> Owners:
    """Return the other projects with entries that have the default credential of a type."""
    owners = NOBODY
    for function in registry.content.functions:
        key = ("functions", function.name)
        if registry.owners(key) - me and name in _types_without_key(
            {"functions": {function.name: registry.entry(key)}}
        ):
            owners |= registry.owners(key)
    for model in {row.name for row in registry.content.models}:
        for section in MODEL_TABLES:
            key = (section, model)
            if registry.owners(key) - me and name in _types_without_key({section: {model: registry.entry(key)}}):
                owners |= registry.owners(key)
    return owners - me


def _types_without_key(tree: Table, *, explicit: bool = False) -> set[str]:
    """Return the types of providers that have no credential of their own.

    `explicit`: but for those that get the gateway's default written out when they are imported.
    """
    types = set()
    for section in MODEL_TABLES:
        for model in as_table(tree.get(section)).values():
            for provider in as_table(as_table(model).get("providers")).values():
                kind = GATEWAY_TYPES.get(str(provider.get("type")))
                if kind and kind.credential and kind.credential.key not in provider:
                    types |= {kind.name} if not explicit or default_location(kind, {}) is None else set()
    for pattern, section in REFERENCES:
        if section in MODEL_TABLES:
            for parent, key in matches(tree, pattern):
                shorthand = is_shorthand(parent[key]) if isinstance(parent[key], str) else None
                types |= {shorthand[0]} if shorthand and parent[key] not in as_table(tree.get(section)) else set()
    return types
