"""Model services and their instances. Nothing is sent here: each method makes a question.

A `service_id` is the instance's own name. An instance that has a time to live is renewed with `renew_instance`, several
times within it; NotFound then means that it is gone, and must register again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Unpack

from model_registry.client.instance_rows import InstanceHealthRow, InstanceRow, ModelServiceFields, RegistrationFields
from model_registry.client.requests import Call, operation, quoted
from model_registry.client.row_calls import Rows, items_of, row_of
from model_registry.entities.model_service import ModelService

_MODEL_SERVICES = Rows("model-services", ModelService)
_INSTANCES = "/services"
_INSTANCE = row_of(InstanceRow)


class InstanceOperations:
    """List, get, register, renew, drain, retire, activate, change and delete."""

    @operation
    def list_model_services(self, *, limit: int | None = None, offset: int | None = None) -> Call[list[ModelService]]:
        """List model services. Errors: Invalid, for an unknown value."""
        return _MODEL_SERVICES.list(limit=limit, offset=offset)

    @operation
    def get_model_service(self, reference: str) -> Call[ModelService]:
        """Get a model service by id or model type. Errors: NotFound."""
        return _MODEL_SERVICES.get(reference)

    @operation
    def create_model_service(
        self, fields: Mapping[str, Any] | None = None, **more: Unpack[ModelServiceFields]
    ) -> Call[ModelService]:
        """Add a model service, before its first instance registers. Errors: Invalid; AlreadyExists."""
        return _MODEL_SERVICES.create(fields, more)

    @operation
    def change_model_service(
        self, reference: str, *, etag: str | None = None, **fields: Unpack[ModelServiceFields]
    ) -> Call[ModelService]:
        """Set some fields of a model service. Errors: Invalid; NotFound, PreconditionFailed."""
        return _MODEL_SERVICES.change(reference, fields, etag)

    @operation
    def delete_model_service(self, reference: str, *, etag: str | None = None) -> Call[None]:
        """Delete a model service. Errors: NotFound, InUse, PreconditionFailed."""
        return _MODEL_SERVICES.delete(reference, etag)

    @operation
    def list_instances(
        self,
        *,
        model_type: str | None = None,
        state: str | None = None,
        limit: int | None = None,
        offset: int | None = None,
    ) -> Call[list[InstanceRow]]:
        """List instances, with their state. Errors: NotFound, Invalid, for an unknown value."""
        filters = {"model_type": model_type, "state": state, "limit": limit, "offset": offset}
        return Call("GET", _INSTANCES, items_of(InstanceRow), filters)

    @operation
    def get_instance(self, service_id: str) -> Call[InstanceRow]:
        """Get an instance, with its state. Errors: NotFound."""
        return Call("GET", _path(service_id), _INSTANCE)

    @operation
    def instance_health(self, service_id: str, *, probe: bool = False) -> Call[InstanceHealthRow]:
        """Get how an instance is; `probe`: have it asked now, for at most 5 s. Errors: NotFound."""
        return Call("GET", _path(service_id, "/health"), row_of(InstanceHealthRow), {"probe": probe or None})

    @operation
    def register_instance(
        self,
        service_id: str,
        service_url: str,
        model_type: str,
        capabilities: Sequence[str],
        **more: Unpack[RegistrationFields],
    ) -> Call[InstanceRow]:
        """Register an instance, or update it. Errors: UnsafeAddress, Invalid, NotAllowed, Conflict."""
        body = {
            "service_id": service_id,
            "service_url": service_url,
            "model_type": model_type,
            "capabilities": list(capabilities),
            **more,
        }
        return Call("POST", f"{_INSTANCES}/register", _INSTANCE, body=body, repeatable=True)

    @operation
    def change_instance(self, service_id: str, **fields: Unpack[RegistrationFields]) -> Call[InstanceRow]:
        """Set some fields of an instance. Errors: UnsafeAddress, Invalid, NotAllowed, NotFound."""
        return Call("PATCH", _path(service_id), _INSTANCE, body=dict(fields), repeatable=True)

    @operation
    def renew_instance(self, service_id: str) -> Call[InstanceRow]:
        """Renew an instance within its time to live. Errors: NotFound, NotAllowed, Conflict (it is retired)."""
        return _ask(service_id, "/renew")

    @operation
    def drain_instance(self, service_id: str, *, reason: str | None = None) -> Call[InstanceRow]:
        """Send an instance no new requests. Errors: NotFound, NotAllowed."""
        return _ask(service_id, "/drain", reason)

    @operation
    def retire_instance(self, service_id: str, *, reason: str | None = None) -> Call[InstanceRow]:
        """Send no new requests, and delete it when the running ones have ended. Errors: NotFound, NotAllowed."""
        return _ask(service_id, "/retire", reason)

    @operation
    def activate_instance(self, service_id: str) -> Call[InstanceRow]:
        """Send an instance requests again. Errors: NotFound, NotAllowed."""
        return _ask(service_id, "/activate")

    @operation
    def delete_instance(self, service_id: str) -> Call[None]:
        """Delete an instance at once. Errors: NotFound, NotAllowed."""
        return Call("DELETE", _path(service_id), lambda _content: None)


def _path(service_id: str, rest: str = "") -> str:
    return f"{_INSTANCES}/{quoted(service_id)}{rest}"


def _ask(service_id: str, what: str, reason: str | None = None) -> Call[InstanceRow]:
    body = {"reason": reason} if reason is not None else None
    return Call("POST", _path(service_id, what), _INSTANCE, body=body, repeatable=True)
