"""Everything a client can do, written once: `Client` does it at once, `AsyncClient` when it is awaited."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from model_registry.client.model_operations import ModelOperations
from model_registry.client.operation import operation
from model_registry.client.requests import GARDEN, Call, Json, enveloped, items_of, json_object, quoted
from model_registry.client.row_operations import RowOperations
from model_registry.client.rows import ServiceModel, ServiceRow
from model_registry.entities.deployment import Deployment

DOCUMENT = f"{GARDEN}/document"


class Operations(RowOperations, ModelOperations):
    """Everything but the catalogue as a whole."""

    @operation
    def list_services(self, *, limit: int | None = None, offset: int | None = None) -> Call[list[ServiceRow]]:
        """List the services that have mappings, with their functions."""
        return Call("GET", "/api/services", items_of(ServiceRow), {"limit": limit, "offset": offset})

    @operation
    def models_for(
        self, service_name: str, function: str | None = None, *, deployed: bool | None = None
    ) -> Call[list[ServiceModel]]:
        """List the models that serve a service, best first. Errors: NotFound, with the functions that there are."""
        path = f"/api/services/{quoted(service_name)}/models"
        return Call("GET", path, items_of(ServiceModel), {"function": function, "deployed": deployed})

    @operation
    def list_deployments(
        self,
        *,
        node_id: str | None = None,
        status: str | None = None,
        model: str | None = None,
        limit: int | None = None,
        offset: int | None = None,
    ) -> Call[list[Deployment]]:
        """List what is loaded where, as nodes reported it. Errors: Invalid."""
        filters = {"node_id": node_id, "status": status, "model": model, "limit": limit, "offset": offset}
        return Call("GET", "/api/deployments", items_of(Deployment), filters)

    @operation
    def tensorzero_config(self) -> Call[str]:
        """Get the newest configuration that a gateway accepts, as TOML. Errors: NothingAccepted."""
        return Call("GET", "/api/tensorzero/config", bytes.decode)

    @operation
    def export_document(self) -> Call[Json]:
        """Get the whole catalogue as one models_registry.json."""
        return Call("GET", DOCUMENT, json_object)

    @operation
    def import_document(self, document: Mapping[str, Any], *, dry_run: bool = False) -> Call[Json]:
        """Write a models_registry.json into the catalogue, in one transaction. Errors: InvalidModel."""
        return Call("PUT", DOCUMENT, enveloped, {"dry_run": dry_run}, dict(document))
