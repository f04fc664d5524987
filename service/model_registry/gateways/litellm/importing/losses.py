"""Refuses an import after which the gateway would not have the configuration. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from model_registry.entities.gateway import Gateway
from model_registry.errors import InvalidConfiguration, Reason
from model_registry.gateways.litellm.compare import compare
from model_registry.gateways.litellm.config import MODEL_LIST, LitellmConfig, Table, as_table
from model_registry.gateways.litellm.rendering.groups import model_group
from model_registry.gateways.litellm.rendering.settings import ALIASES, ROUTER_SETTINGS, Groups, settings
from model_registry.gateways.scope import scoped
from model_registry.imports.plan import Planner


def refuse_losses(config: LitellmConfig, planner: Planner, gateway: Gateway, own: set[str]) -> None:
    """Compare the configuration with what would be rendered of it.

    `own`: the ids of the model rows that are its entries.

    Raises:
        InvalidConfiguration: with every key that would change.
    """
    imported = {**config.sections, MODEL_LIST: [entry.as_table() for entry in config.entries]}
    if lost := compare(imported, rendered(config, planner, gateway, own), facts=True):
        reasons = [Reason(f.where, f"would become {f.other!r}; the configuration says {f.one!r}") for f in lost]
        message = f"The import is refused, because the registry could not keep all of it: {reasons[0]}"
        raise InvalidConfiguration(message, reasons=reasons)


def rendered(config: LitellmConfig, planner: Planner, gateway: Gateway, own: set[str]) -> Table:
    """Return what the gateway would have of the configuration after the import, without what it has besides."""
    after = scoped(planner.snapshot.preview(planner.operations), gateway)
    names = dict.fromkeys(entry.model_name for entry in config.entries)
    listed: list[Any] = []
    groups: set[str] = set()
    for name in names:
        group = model_group(after, name)
        members = tuple(member for member in group.members if member.model.id in own)
        listed += replace(group, members=members).entries()
        groups |= {name} if group.members else set()
    rest = settings(after, Groups(groups), own=True)
    listed += [item for item in rest.entries if isinstance(item, dict) and item.get("model_name") in names]
    tree = {name: value for name, value in rest.tree.items() if name in config.sections}
    if isinstance(tree.get(ROUTER_SETTINGS), dict):
        aliased = as_table(config.settings(ROUTER_SETTINGS).get(ALIASES))
        aliases = as_table(tree[ROUTER_SETTINGS].get(ALIASES))
        router = {key: value for key, value in tree[ROUTER_SETTINGS].items() if key != ALIASES}
        kept = {key: aliases[key] for key in aliased if key in aliases}
        tree[ROUTER_SETTINGS] = router | ({ALIASES: kept} if kept else {})
    return {**tree, MODEL_LIST: listed}
