"""Renders a snapshot as the text of a gateway configuration. Pure: the same rows give the same bytes.

The tables are made in `routed_models.py` and `function_tables.py`; here are the models and functions that changed rows
affect, and the text: what is unaffected is reused. Checking is in `rules/`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import tomli_w

from model_registry.entities.base import Row
from model_registry.entities.change import Change
from model_registry.entities.deployment import Deployment
from model_registry.entities.function import Function, Mapping
from model_registry.entities.model import Alias, Model
from model_registry.entities.node import Node
from model_registry.entities.provider import Provider
from model_registry.entities.secret_text import mask_secrets
from model_registry.gateways.kind import Variable
from model_registry.gateways.omission import DEPLOYMENT, Omission
from model_registry.gateways.tensorzero.own_content import own_sections
from model_registry.gateways.tensorzero.project import MODEL_TABLES, MODELLED, Table
from model_registry.gateways.tensorzero.rendering.function_tables import function_entry
from model_registry.gateways.tensorzero.rendering.provider_tables import plain, why_provider_left_out
from model_registry.gateways.tensorzero.rendering.routed_models import ModelEntry, model_entry
from model_registry.gateways.tensorzero.rendering.variables import Need, comment, section_needs, variables
from model_registry.snapshot.deployment_links import models_of
from model_registry.snapshot.difference import same
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
        for model in models_of(snapshot, deployment):
            if is_routed(snapshot.providers.get(model.provider_id)):
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


_HEADER = "# Generated by the model registry. Changes belong there: they would be lost here.\n"
_PARTS = (*MODEL_TABLES, "functions")
_MANY = 8
"""From this number of providers on, their texts are cached one by one."""

_Source = str | FunctionKey
"""The source of an entry: a model's name, or a function."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """A rendered gateway configuration, and its omissions."""

    text: str
    omitted: tuple[Omission, ...]
    variables: tuple[Variable, ...] = ()
    """The environment variables that it names."""


@dataclass(slots=True)
class RenderCache:
    """State of the last rendering for the next one. For one caller at a time; opaque to it."""

    snapshot: Snapshot = field(default_factory=Snapshot.empty)
    texts: dict[str, dict[str, str]] = field(default_factory=lambda: {part: {} for part in _PARTS})
    providers: dict[tuple[str, str], dict[str, tuple[Table, str]]] = field(default_factory=dict)
    """Per section and model with many providers, each provider's table and text."""
    made: dict[_Source, list[tuple[str, str]]] = field(default_factory=dict)
    omissions: dict[_Source, tuple[Omission, ...]] = field(default_factory=dict)
    needs: dict[_Source, tuple[Need, ...]] = field(default_factory=dict)
    counts: dict[Need, int] = field(default_factory=dict)
    """How many sources have a need: looking at all of them would take longer than everything else."""
    rendered: Rendered | None = None


def render(snapshot: Snapshot, cache: RenderCache | None = None) -> Rendered:
    """Render a snapshot. With a cache the cost is that of the changes since the last call, and of joining the texts."""
    cache = cache or RenderCache()
    affected = _affected_since(cache.snapshot, snapshot)
    if affected is None and cache.rendered is not None:
        cache.snapshot = snapshot
        return cache.rendered
    entries = list(_entries(snapshot, affected or Affected()))
    for source, _ in entries:
        for part, key in cache.made.pop(source, ()):
            del cache.texts[part][key]
        cache.omissions.pop(source, None)
        _count(cache, cache.needs.pop(source, ()), -1)
    for source, entry in entries:
        _remember(cache, source, entry)
    cache.snapshot = snapshot
    cache.rendered = _assembled(cache, snapshot)
    return cache.rendered


def configuration_tree(snapshot: Snapshot) -> Table:
    """Return the same configuration as tables: the parsed text of `render`."""
    names = {model.name for model in snapshot.models} | {alias.alias for alias in snapshot.aliases}
    rows = (*snapshot.functions, *snapshot.mappings)
    whole = Affected(names, {(row.service_name, row.function_name) for row in rows})
    tree: Table = {name: value for name, value in _sections(snapshot) if name not in MODELLED}
    for _, entry in _entries(snapshot, whole):
        for part, key, table in entry.tables:
            tree.setdefault(part, {})[key] = table
    return tree


def _affected_since(before: Snapshot, after: Snapshot) -> Affected | None:
    """Return the entries to render again; None when the configuration is unchanged."""
    changed = [name for name in configuration_tables(after) if before.tables[name] is not after.tables[name]]
    affected = Affected()
    for name in changed:
        old, new = before.tables[name], after.tables[name]
        rows = [(old.get(row_id), new.get(row_id)) for row_id in new.may_differ(old)]
        rows = [(was, now) for was, now in rows if was is not now]  # rows are immutable, and replaced when changed
        affected.add(before, (was for was, _ in rows if was is not None))
        affected.add(after, (now for _, now in rows if now is not None))
    return affected if affected.names or affected.functions or CONFIGURATION_TABLES & set(changed) else None


def _entries(snapshot: Snapshot, affected: Affected) -> Iterator[tuple[_Source, ModelEntry]]:
    for name in affected.names:
        yield name, model_entry(snapshot, name)
    for key in affected.functions:
        functions = snapshot.functions.where("key", key)
        yield key, function_entry(snapshot, functions[0]) if functions else ModelEntry()


def _remember(cache: RenderCache, source: _Source, entry: ModelEntry) -> None:
    for part, key, table in entry.tables:
        cache.texts[part][key] = _text(cache, part, key, table)
    if entry.tables:
        cache.made[source] = [(part, key) for part, key, _ in entry.tables]
    if entry.omissions:
        cache.omissions[source] = entry.omissions
    if entry.needs:
        cache.needs[source] = entry.needs
        _count(cache, entry.needs, 1)


def _text(cache: RenderCache, part: str, key: str, table: Table) -> str:
    """Write one entry as text. A model with many routes changes one provider at a time: reuse the others' texts."""
    providers: Table = table.get("providers", {})
    if part == "functions" or len(providers) < _MANY:
        return tomli_w.dumps({part: {key: table}})
    known, texts = cache.providers.get((part, key), {}), {}
    for name, provider in providers.items():
        before = known.get(name)
        if before is None or not same(before[0], provider):
            before = provider, tomli_w.dumps({part: {key: {"providers": {name: provider}}}})
        texts[name] = before
    cache.providers[part, key] = texts
    rest = {name: value for name, value in table.items() if name != "providers"}
    return "\n".join([tomli_w.dumps({part: {key: rest}}), *(text for _, text in texts.values())])


def _assembled(cache: RenderCache, snapshot: Snapshot) -> Rendered:
    sections = list(_sections(snapshot))
    omitted = [
        *(o for provider in snapshot.providers if (o := _provider_omission(provider))),
        *(Omission("section", name, "the registry holds this as rows") for name, _ in sections if name in MODELLED),
    ]
    names = sorted(source for source in cache.omissions if isinstance(source, str))
    functions = sorted(source for source in cache.omissions if isinstance(source, tuple))
    omitted += [omission for name in names for omission in cache.omissions[name]]
    omitted += [omission for function in functions for omission in cache.omissions[function]]
    named = _variables(cache, sections)
    fragments = [
        _HEADER + comment(named),
        *(tomli_w.dumps({name: value}) for name, value in sections if name not in MODELLED),
    ]
    for part in _PARTS:
        # Kept in order: sorting what is almost sorted takes a tenth of the time.
        texts = cache.texts[part] = {key: cache.texts[part][key] for key in sorted(cache.texts[part])}
        fragments += texts.values()
    # Nodes' omissions stay out of the comments: gateways would reload a configuration that means the same.
    if left_out := _comments(omission for omission in omitted if omission.kind != DEPLOYMENT):
        fragments.append(left_out)
    return Rendered("\n".join(fragments), tuple(omitted), named)


def _count(cache: RenderCache, needs: Iterable[Need], change: int) -> None:
    for need in needs:
        cache.counts[need] = cache.counts.get(need, 0) + change
        if not cache.counts[need]:
            del cache.counts[need]


def _variables(cache: RenderCache, sections: Iterable[tuple[str, Any]]) -> tuple[Variable, ...]:
    values = dict(sections)
    needs = [*cache.counts, *(need for name, value in values.items() for need in section_needs(name, value))]
    return variables(needs, values.get("provider_types"))


def _sections(snapshot: Snapshot) -> Iterator[tuple[str, Any]]:
    return ((section.name, plain(section.value)) for section in own_sections(snapshot))


def _provider_omission(provider: Provider) -> Omission | None:
    reason = why_provider_left_out(provider) if provider.active else "it is not active"
    return Omission("provider", provider.name, reason, switched_off=not provider.active) if reason else None


def _comments(omissions: Iterable[Omission]) -> str:
    """Write omissions as TOML comments, one line each; empty when all are switched off."""
    lines = [_one_line(mask_secrets(f'# {o.kind} "{o.name}": {o.reason}')) for o in omissions if not o.switched_off]
    return "\n".join(["# Left out:", *lines]) + "\n" if lines else ""


def _one_line(text: str) -> str:
    """Escape characters that could end the line or be invisible: control characters, separators, lone surrogates."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
