"""The content of a gateway that a project goes into, and the row of a gateway that does not exist yet. Pure."""

from __future__ import annotations

from model_registry.entities.gateway import DEFAULT_GATEWAY, Gateway, GatewayDraft
from model_registry.errors import Invalid
from model_registry.gateways.scope import scoped
from model_registry.imports.plan import WantedRow
from model_registry.snapshot.snapshot import Snapshot

_KIND = "tensorzero"


def content_of(snapshot: Snapshot, gateway: str) -> Snapshot:
    """Return the registry with only the functions, sections and files of a gateway, whatever its scope leaves out.

    Errors: Invalid, where the gateway is of another kind, or has the content of another.
    """
    row = next(iter(snapshot.gateways.where("name", gateway)), None)
    if row is not None and row.kind != _KIND:
        message = (
            f"The gateway {gateway} is of the kind {row.kind}: a TensorZero project goes into one of the kind {_KIND}."
        )
        raise Invalid(message)
    if row is not None and row.content_of != gateway:
        message = f"The gateway {gateway} has the content of {row.content_of}: import into that one."
        raise Invalid(message)
    return scoped(snapshot, Gateway(id="", name=gateway, kind=_KIND, content_of=gateway))


def missing_gateway(snapshot: Snapshot, gateway: str) -> WantedRow | None:
    """Return the row of a gateway that does not exist yet, with content of its own."""
    if gateway == DEFAULT_GATEWAY or snapshot.gateways.where("name", gateway):
        return None
    values = {"name": gateway, "kind": _KIND, "content_of": gateway}
    return WantedRow("gateways", "gateway", gateway, values, draft=GatewayDraft, summary=f"kind {_KIND}")
