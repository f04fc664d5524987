"""Reading, writing and choosing models. Nothing is sent here: each method makes a question."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, Unpack

from model_registry.client.fields import ModelFields
from model_registry.client.operation import operation
from model_registry.client.requests import GARDEN, Call, Json, Rows, enveloped, json_object
from model_registry.client.rows import CatalogModel
from model_registry.entities.fitness import FitnessResult, Use

T = TypeVar("T")

_MODELS = Rows("models", CatalogModel)


class ModelOperations:
    """Models: their rows, and questions about several. What is None is left to the registry."""

    @operation
    def list_models(  # noqa: PLR0913 (a parameter a filter)
        self,
        *,
        model_type: str | None = None,
        provider: str | None = None,
        capability: Sequence[str] | None = None,
        name: str | None = None,
        active: bool | None = None,
        offered: bool | None = None,
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
            capability=capability,
            name=name,
            active=active,
            offered=offered,
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
            offset=offset,
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
        tokens: Mapping[str, int] | None = None,
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
        requests: int | None = None,
        models: Sequence[str] | None = None,
        filter: Mapping[str, Any] | None = None,  # noqa: A002 (the registry's name)
        limit: int | None = None,
    ) -> Call[Json]:
        """Estimate what requests of this many tokens cost with several models, in US dollars. Errors: Invalid."""
        tokens = {"input_tokens": input_tokens, "output_tokens": output_tokens}
        tokens["cached_input_tokens"] = cached_input_tokens
        choice = {"requests": requests, "models": models, "filter": filter, "limit": limit}
        return _question("/api/costs/estimate", json_object, {**tokens, **choice})

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
        gpus: int | None = None,
        ram_gb: float | None = None,
        cuda_compute_capability: str | None = None,
    ) -> Call[FitnessResult]:
        """Check whether a model may be trained or served, on the hardware that is given. Errors: NotFound."""
        hardware = {"vram_gb": vram_gb, "gpus": gpus, "ram_gb": ram_gb}
        body = {"model_id": model_id, **hardware, "cuda_compute_capability": cuda_compute_capability}
        return _question(f"{GARDEN}/validate/{use}", lambda content: FitnessResult(**enveloped(content)), body)


def _question(path: str, read: Callable[[bytes], T], body: Mapping[str, Any]) -> Call[T]:
    """A POST that changes nothing."""
    given = {name: value for name, value in body.items() if value is not None}
    return Call("POST", path, read, body=given, repeatable=True)
