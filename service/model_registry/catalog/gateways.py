"""Gateways as callers send them, and what their scope may name. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from model_registry.catalog.promotions import approvals_needed, refuse_alone, refuse_unpinned
from model_registry.entities.gateway import DEFAULT_GATEWAY, Gateway
from model_registry.entities.provider import THROUGH
from model_registry.errors import Conflict, Invalid, Reason, UnknownReference
from model_registry.snapshot.snapshot import Snapshot


def checked_gateway(snapshot: Snapshot, columns: dict[str, Any]) -> dict[str, Any]:
    """Return the row to write. Errors: Invalid; UnknownReference with all in its scope that does not exist."""
    columns = columns | {"content_of": columns["content_of"] or DEFAULT_GATEWAY}
    refuse_unpinned(columns)
    if reasons := list(_unknown(snapshot, columns)):
        raise UnknownReference(
            f"The gateway names what does not exist: {'; '.join(map(str, reasons))}.", reasons=tuple(reasons)
        )
    content_of = columns["content_of"]
    other = next(iter(snapshot.gateways.where("name", content_of)), None)
    if content_of != columns["name"] and other is not None and other.content_of != other.name:
        reason = Reason("content_of", f"{content_of} itself has the content of {other.content_of}: name that one")
        raise Invalid(f"{reason}.", reasons=(reason,))
    return columns


def _unknown(snapshot: Snapshot, columns: dict[str, Any]) -> Iterator[Reason]:
    services = {str(row.service_name) for row in snapshot.functions}
    yield from _missing("services", "service with functions", columns["services"], services)
    providers = {provider.name for provider in snapshot.providers}
    yield from _missing("providers", "provider", columns["providers"], providers)
    for key, value in (columns["labels"] or {}).items():
        if not any(node.labels.get(key) == value for node in snapshot.nodes):
            yield Reason("labels", f"no node has the label {key}={value}")
    names = {gateway.name for gateway in snapshot.gateways} | {columns["name"]}
    yield from _missing("content_of", "gateway", [columns["content_of"]], names)


def _missing(field: str, what: str, named: Iterable[str] | None, known: set[str]) -> Iterator[Reason]:
    for name in named or ():
        if name not in known:
            yield Reason(field, f"there is no {what} {name!r}")


def content_owned_by(snapshot: Snapshot, gateway: Gateway) -> Iterator[str]:
    """Yield what belongs to a gateway, in words: it cannot be deleted meanwhile.

    Errors: Conflict, while others must approve what happens to it.
    """
    if needed := approvals_needed(gateway):
        raise Conflict(
            f"The gateway {gateway.name} asks for {needed} approvals, so it is not deleted: first lower it with POST "
            f'/api/gateways/{gateway.name}/promote {{"approval": 0}}, which others approve too.'
        )
    for other in snapshot.gateways.where("content_of", gateway.name):
        if other.id != gateway.id:
            yield f"the gateway {other.name}"
    for provider in snapshot.providers.where("route_by", f"{THROUGH}{gateway.name}"):
        yield f"the provider {provider.name}"
    yield from (f"the function {row.name}" for row in snapshot.functions.where("gateway", gateway.name))
    yield from (f"the section {row.name}" for row in snapshot.sections.where("gateway", gateway.name))
    yield from (f"the file {row.path}" for row in snapshot.files.where("gateway", gateway.name))
    if gateway.name == DEFAULT_GATEWAY:
        yield "the routes below /api/tensorzero"


def edited_gateway(row: Gateway, columns: dict[str, Any]) -> dict[str, Any]:
    """Return what an edit writes.

    Errors: Conflict for what is the identity of a gateway, and for what others must approve.
    """
    refuse_alone(row, columns)
    if columns.get("kind", row.kind) != row.kind:
        raise Conflict(f"The kind of a gateway does not change: delete {row.name}, or make another beside it.")
    if row.name == DEFAULT_GATEWAY and columns.get("name", row.name) != row.name:
        raise Conflict(f"The gateway {DEFAULT_GATEWAY} keeps its name: /api/tensorzero is another name of it.")
    return columns
