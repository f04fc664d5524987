"""Finds what an import would change for other LiteLLM gateways: models are shared while they mean the same. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from model_registry.entities.gateway import Gateway
from model_registry.errors import Conflict, Reason
from model_registry.gateways.litellm.config import Table
from model_registry.gateways.litellm.deployment import PARAMS
from model_registry.gateways.litellm.rendering.groups import model_group
from model_registry.gateways.scope import scoped
from model_registry.imports.plan import Planner


def settle_with_others(planner: Planner, gateway: Gateway, names: Iterable[str], *, overwrite: bool) -> None:
    """Refuse an import that changes a group of another gateway, or report it where the caller wants it so.

    Args:
        planner: has all rows of the import.
        gateway: the one that the import is for.
        names: the model groups of the configuration.
        overwrite: whether the caller wants the groups of others to change.

    Raises:
        Conflict: with each group and both sides.
    """
    found = list(_changed(planner, gateway, list(names)))
    if found and not overwrite:
        what = "give the group another name, import it for that gateway, or use --on-conflict overwrite"
        message = f"The import would change {len(found)} groups of other gateways: {found[0]}; {what}"
        raise Conflict(message, reasons=found)
    for reason in found:
        planner.note("warning", "group", reason.where, reason.message)


def _changed(planner: Planner, gateway: Gateway, names: list[str]) -> Iterator[Reason]:
    after = planner.snapshot.preview(planner.operations)
    for other in planner.snapshot.gateways:
        if other.kind != gateway.kind or other.name == gateway.name:
            continue
        here, there = scoped(planner.snapshot, other), scoped(after, other)
        for name in names:
            old, new = (model_group(snapshot, name).entries() for snapshot in (here, there))
            if old and old != new:
                message = f"is {_shown(old)} there, and would be {_shown(new)}"
                yield Reason(f"gateway {other.name}: {name}", message)


def _shown(entries: list[Table]) -> str:
    return " + ".join(f"{entry[PARAMS]['model']}{_rank(entry)}" for entry in entries)


def _rank(entry: Table) -> str:
    order = entry[PARAMS].get("order")
    return "" if order is None else f" (order {order})"
