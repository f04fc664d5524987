"""Everything a client can do, written once: `Client` does it at once, `AsyncClient` when it is awaited.

Nothing is sent here: each method makes a question. The rows of every resource but models are in `row_operations.py`,
instances of model services in `instance_operations.py`.
"""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar, Unpack

from model_registry.client.catalogue_core import CatalogueCore
from model_registry.client.gateway_operations import GatewayOperations
from model_registry.client.instance_operations import InstanceOperations
from model_registry.client.job_operations import JobOperations
from model_registry.client.requests import (
    DEFAULT_URL,
    DOCUMENT,
    GARDEN,
    Call,
    Json,
    enveloped,
    json_object,
    operation,
    quoted,
)
from model_registry.client.response_cache import Answers
from model_registry.client.retries import RetryPolicy
from model_registry.client.row_calls import Rows, items_of
from model_registry.client.row_operations import RowOperations
from model_registry.client.rows import CatalogModel, ModelFields, ServiceModel, ServiceRow
from model_registry.client.source_operations import SourceOperations
from model_registry.entities.deployment import Deployment
from model_registry.entities.fitness import FitnessResult, Use
from model_registry.entities.gpu_memory import Method, Optimizer

T = TypeVar("T")
Http = TypeVar("Http")
Transport = TypeVar("Transport")

_MODELS = Rows("models", CatalogModel)


class Operations(RowOperations, InstanceOperations, SourceOperations, JobOperations, GatewayOperations):
    """Everything but the catalogue as a whole. What is None is left to the registry."""

    @operation
    def list_models(  # noqa: PLR0913 (a parameter a filter)
        self,
        *,
        model_type: str | None = None,
        provider: str | None = None,
        provider_type: str | None = None,
        capability: Sequence[str] | None = None,
        name: str | None = None,
        model_id: str | None = None,
        active: bool | None = None,
        offered: bool | None = None,
        missing: bool | None = None,
        status: Sequence[str] | None = None,
        tag: Sequence[str] | None = None,
        category: str | None = None,
        framework: str | None = None,
        task_type: str | None = None,
        min_context: int | None = None,
        max_cost_per_1m_input_tokens: float | None = None,
        max_cost_per_1m_output_tokens: float | None = None,
        q: str | None = None,
        sort: str | None = None,
        limit: int | None = None,
        offset: int | None = None,
    ) -> Call[list[CatalogModel]]:
        """List models that pass the filters. Errors: Invalid, for an unknown value."""
        return _MODELS.list(
            model_type=model_type,
            provider=provider,
            provider_type=provider_type,
            capability=capability,
            name=name,
            model_id=model_id,
            active=active,
            offered=offered,
            missing=missing,
            status=status,
            tag=tag,
            category=category,
            framework=framework,
            task_type=task_type,
            min_context=min_context,
            max_cost_per_1m_input_tokens=max_cost_per_1m_input_tokens,
            max_cost_per_1m_output_tokens=max_cost_per_1m_output_tokens,
            q=q,
            sort=sort,
            limit=limit,
            offset=offset or 0,  # always, so that the answer has its rows once
        )

    @operation
    def get_model(self, reference: str) -> Call[CatalogModel]:
        """Get a model. Errors: ModelNotFound, AmbiguousName."""
        return _MODELS.get(reference)

    @operation
    def create_model(self, fields: Mapping[str, Any] | None = None, **more: Unpack[ModelFields]) -> Call[CatalogModel]:
        """Add a model. Errors: InvalidModel, with every bad field; AlreadyExists."""
        return _MODELS.create(fields, more)

    @operation
    def replace_model(
        self, reference: str, fields: Mapping[str, Any], *, etag: str | None = None
    ) -> Call[CatalogModel]:
        """Set every field of a model. Errors: as `create_model`; NotFound, PreconditionFailed."""
        return _MODELS.replace(reference, fields, etag)

    @operation
    def change_model(
        self, reference: str, *, etag: str | None = None, **fields: Unpack[ModelFields]
    ) -> Call[CatalogModel]:
        """Set some fields of a model. Errors: as `replace_model`."""
        return _MODELS.change(reference, fields, etag)

    @operation
    def delete_model(self, reference: str, *, etag: str | None = None) -> Call[None]:
        """Delete a model. Errors: NotFound, InUse, PreconditionFailed."""
        return _MODELS.delete(reference, etag)

    @operation
    def select_models(  # noqa: PLR0913 (the registry's own)
        self,
        *,
        tokens: Mapping[str, Any] | None = None,
        constraints: Mapping[str, Any] | None = None,
        weights: Mapping[str, float] | None = None,
        quality_scores: Mapping[str, float] | None = None,
        limit: int | None = None,
        excluded_limit: int | None = None,
    ) -> Call[Json]:
        """Rank models by weights within constraints, and say why others are out. Errors: Invalid."""
        wishes = {"tokens": tokens, "constraints": constraints, "weights": weights, "quality_scores": quality_scores}
        limits = {"limit": limit, "excluded_limit": excluded_limit}
        return _question("/api/models/select", json_object, wishes | limits)

    @operation
    def estimate_costs(  # noqa: PLR0913 (the registry's own)
        self,
        *,
        input_tokens: int | None = None,
        output_tokens: int | None = None,
        cached_input_tokens: int | None = None,
        counts: Mapping[str, Any] | None = None,
        service_tier: str | None = None,
        variant: str | None = None,
        requests: int | None = None,
        models: Sequence[str] | None = None,
        filter: Mapping[str, Any] | None = None,  # noqa: A002 (the registry's name)
        limit: int | None = None,
    ) -> Call[Json]:
        """Estimate what requests of this many tokens cost with several models, in US dollars. Errors: Invalid."""
        tokens = {"input_tokens": input_tokens, "output_tokens": output_tokens}
        tokens["cached_input_tokens"] = cached_input_tokens
        terms = {"counts": counts, "service_tier": service_tier, "variant": variant}
        choice = {"requests": requests, "models": models, "filter": filter, "limit": limit}
        return _question("/api/costs/estimate", json_object, {**tokens, **terms, **choice})

    @operation
    def model_stats(self) -> Call[Json]:
        """Count models by provider, type, status and more."""
        return Call("GET", "/api/models/stats", json_object)

    @operation
    def validate_model(  # noqa: PLR0913 (a parameter a fact)
        self,
        model_id: str,
        use: Use,
        *,
        vram_gb: float | None = None,
        gpu: str | None = None,
        gpus: int | None = None,
        ram_gb: float | None = None,
        cuda_compute_capability: str | None = None,
        method: Method | None = None,
        sequence_length: int | None = None,
        batch_size: int | None = None,
        optimizer: Optimizer | None = None,
        lora_rank: int | None = None,
    ) -> Call[FitnessResult]:
        """Check whether a model may be served, or trained by a method, on the hardware that is given.

        Errors: NotFound; Invalid, for an unknown GPU.
        """
        hardware = {"vram_gb": vram_gb, "gpu": gpu, "gpus": gpus, "ram_gb": ram_gb}
        settings: dict[str, object] = {"method": method, "sequence_length": sequence_length, "batch_size": batch_size}
        settings |= {"optimizer": optimizer, "lora_rank": lora_rank}
        body = {"model_id": model_id, **hardware, "cuda_compute_capability": cuda_compute_capability, **settings}
        return _question(f"{GARDEN}/validate/{use}", lambda content: FitnessResult(**enveloped(content)), body)

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
    def list_deployments(  # noqa: PLR0913 (a parameter a filter)
        self,
        *,
        node_id: str | None = None,
        status: str | None = None,
        provider_type: str | None = None,
        model: str | None = None,
        limit: int | None = None,
        offset: int | None = None,
    ) -> Call[list[Deployment]]:
        """List what is loaded where, as nodes reported it. Errors: Invalid."""
        filters = {"node_id": node_id, "status": status, "provider_type": provider_type, "model": model}
        page = {"limit": limit, "offset": offset}
        return Call("GET", "/api/deployments", items_of(Deployment), {**filters, **page})

    @operation
    def tensorzero_config(self) -> Call[str]:
        """Get the newest configuration that a gateway accepts, as TOML. Errors: NothingAccepted."""
        return Call("GET", "/api/tensorzero/config", bytes.decode)

    @operation
    def import_gateway(
        self,
        files: Mapping[str, str],
        *,
        gateway: str | None = None,
        dry_run: bool = False,
        skip_literal_keys: bool = False,
    ) -> Call[Json]:
        """Import a gateway's configuration, in one transaction; the kind is known by the content. Returns the report.

        `files`: path -> text, the configuration and what it includes. Errors: InvalidConfiguration, AmbiguousName,
        Conflict, SecretInText.
        """
        body = {"files": dict(files), "gateway": gateway}
        params = {"dry_run": dry_run, "skip_literal_keys": skip_literal_keys}
        return Call("POST", "/api/gateways/import", json_object, params, body)

    @operation
    def export_document(self) -> Call[Json]:
        """Get the whole catalogue as one models_registry.json."""
        return Call("GET", DOCUMENT, json_object)

    @operation
    def import_document(self, document: Mapping[str, Any], *, dry_run: bool = False) -> Call[Json]:
        """Write a models_registry.json into the catalogue, in one transaction. Errors: InvalidModel."""
        return Call("PUT", DOCUMENT, enveloped, {"dry_run": dry_run}, dict(document))


class BaseClient(Operations, Generic[Http, Transport]):
    """The base of both clients: a registry's address, the key, and the connections. Arguments: see `Client`."""

    def __init__(
        self,
        url: str | None = None,
        api_key: str | None = None,
        *,
        cache_dir: Path | None = None,
        patience: RetryPolicy | None = None,
        transport: Transport | None = None,
    ) -> None:
        self.url = url or os.environ.get("MODEL_REGISTRY_URL") or DEFAULT_URL
        self._key = api_key or os.environ.get("MODEL_REGISTRY_API_KEY")
        self._cache_dir = cache_dir
        self._patience = patience or RetryPolicy()
        self._transport = transport
        self._http = self._new_http()
        self.core = self.new_core()

    @property
    def stale_seconds(self) -> float | None:
        """How old the last answer was when the registry could not confirm it, in seconds; None otherwise."""
        return self.core.stale_seconds

    def new_core(self) -> CatalogueCore:
        """Make another core for the same registry, with its own answers in memory: for another thread or task."""
        return CatalogueCore(self.url, self._key, self._patience, Answers(self._cache_dir))

    @abstractmethod
    def _new_http(self) -> Http:
        """Make the connections, with the system's proxies unless the registry is on this machine."""


def _question(path: str, read: Callable[[bytes], T], body: Mapping[str, Any]) -> Call[T]:
    """A POST that changes nothing."""
    given = {name: value for name, value in body.items() if value is not None}
    return Call("POST", path, read, body=given, repeatable=True)
