"""Gateways: what each carries and gets, and which revision it has. Nothing is sent: each method makes a question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict, Unpack

from model_registry.client.requests import Call, Json, json_object, operation, quoted
from model_registry.client.row_calls import Rows
from model_registry.entities.gateway import Gateway


class GatewayFields(TypedDict, total=False):
    """A gateway."""

    name: str
    kind: str
    description: str | None
    content_of: str | None
    services: Sequence[str] | None
    providers: Sequence[str] | None
    labels: Mapping[str, Any] | None
    environment: Sequence[str] | None
    pinned_revision: int | None
    settings: Mapping[str, Any]


_GATEWAYS = Rows("gateways", Gateway)


class GatewayOperations:
    """List, get, create, replace, change, delete; configuration, status, difference; promote, approve, withdraw."""

    @operation
    def list_gateways(self, *, limit: int | None = None, offset: int | None = None) -> Call[list[Gateway]]:
        """List gateways. Errors: Invalid, for an unknown value."""
        return _GATEWAYS.list(limit=limit, offset=offset)

    @operation
    def get_gateway(self, reference: str) -> Call[Gateway]:
        """Get a gateway by id or name. Errors: NotFound."""
        return _GATEWAYS.get(reference)

    @operation
    def create_gateway(self, fields: Mapping[str, Any] | None = None, **more: Unpack[GatewayFields]) -> Call[Gateway]:
        """Add a gateway. Errors: Invalid, UnknownReference, AlreadyExists, RevisionNotFound, RevisionGone."""
        return _GATEWAYS.create(fields, more)

    @operation
    def replace_gateway(self, reference: str, fields: Mapping[str, Any], *, etag: str | None = None) -> Call[Gateway]:
        """Set every field of a gateway. Errors: as `create_gateway`; NotFound, Conflict, PreconditionFailed."""
        return _GATEWAYS.replace(reference, fields, etag)

    @operation
    def change_gateway(
        self, reference: str, *, etag: str | None = None, **fields: Unpack[GatewayFields]
    ) -> Call[Gateway]:
        """Set some fields of a gateway; its kind stays. Errors: as `replace_gateway`."""
        return _GATEWAYS.change(reference, fields, etag)

    @operation
    def delete_gateway(self, reference: str, *, etag: str | None = None) -> Call[None]:
        """Delete a gateway without content. Errors: NotFound, InUse, Conflict, PreconditionFailed."""
        return _GATEWAYS.delete(reference, etag)

    @operation
    def gateway_config(self, reference: str) -> Call[str]:
        """Get the configuration that a gateway gets, as its kind writes it. Errors: NotFound, NothingAccepted."""
        return Call("GET", _path(reference, "config"), bytes.decode)

    @operation
    def gateway_status(self, reference: str) -> Call[Json]:
        """Get what a gateway is served, what is refused and why, its pin and its promotion. Errors: NotFound."""
        return Call("GET", _path(reference, "status"), json_object)

    @operation
    def gateway_diff(self, reference: str, since: int | str = "served", to: int | str = "latest") -> Call[Json]:
        """Compare what a gateway carries at two revisions; by default what it is served with the newest.

        Errors: NotFound, RevisionNotFound, RevisionGone.
        """
        params = {"from": since, "to": to, "format": "json"}
        return Call("GET", _path(reference, "diff"), json_object, params)

    @operation
    def gateway_history(self, reference: str) -> Call[list[Json]]:
        """List who moved a gateway from which revision to which, when and why, newest first. Errors: NotFound."""
        return Call("GET", _path(reference, "history"), lambda content: list(json_object(content)["items"]))

    @operation
    def promote_gateway(  # noqa: PLR0913 (the registry's own)
        self,
        reference: str,
        revision: int | str | None = None,
        *,
        source: str | None = None,
        reason: str | None = None,
        leave_out_refused: bool = False,
        dry_run: bool = False,
    ) -> Call[Json]:
        """Move a gateway to a revision, to `latest`, to what the gateway `source` has; None: follow the newest.

        Errors: NotFound, RevisionNotFound, RevisionGone, InvalidConfiguration, Conflict.
        """
        body: dict[str, Any] = {"from": source} if source is not None else {"revision": revision}
        body |= {"reason": reason, "leave_out_refused": leave_out_refused}
        return Call("POST", _path(reference, "promote"), json_object, {"dry_run": dry_run}, body)

    @operation
    def approve_promotion(self, reference: str, revision: int) -> Call[Json]:
        """Approve the pending promotion of a gateway to this revision.

        Errors: NotFound, InvalidConfiguration; Conflict; NotAllowed, for who asked for it.
        """
        return Call("POST", _path(reference, "promotions/approve"), json_object, body={"revision": revision})

    @operation
    def withdraw_promotion(self, reference: str) -> Call[Json]:
        """End the pending promotion of a gateway. Errors: NotFound, Conflict."""
        return Call("POST", _path(reference, "promotions/withdraw"), json_object)


def _path(reference: str, rest: str) -> str:
    return f"/api/gateways/{quoted(reference)}/{rest}"
