"""Rows as a registry shows them to its clients, and the fields that clients write, by name and JSON type.

Rows are read leniently: a newer registry may send more than we understand. It decides, too, which values are valid.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from pydantic import BaseModel, Field

from model_registry.entities.base import Row
from model_registry.entities.function import Mapping as MappingRow
from model_registry.entities.model import Alias, ModelColumns
from model_registry.entities.model_card import ModelCard
from model_registry.entities.provider import Provider

JsonObject = Mapping[str, Any]


class AliasOfModel(BaseModel):
    """An alias as its model shows it."""

    alias: str
    context: str | None = None


class CatalogModel(ModelCard, ModelColumns):
    """A model: its columns, its card's fields beside them, and its provider's address."""

    context_window: int | None = None
    supports: dict[str, bool] = Field(default_factory=dict)
    offered: bool = True
    provider_name: str | None = None
    provider_type: str | None = None
    api_base: str | None = None
    api_key_env_var: str | None = None
    aliases: list[AliasOfModel] = Field(default_factory=list)


class ServiceModel(CatalogModel):
    """A model that serves a service, and its mapping."""

    mapping_id: str
    service_name: str
    function_name: str
    variant_name: str
    priority: int
    weight: float
    fallback_model_id: str | None = None


class CatalogProvider(Provider):
    """A provider with its description."""

    description: str | None = None


class CatalogAlias(Alias):
    """An alias with the name of its model."""

    model_name: str | None = None


class CatalogMapping(MappingRow):
    """A mapping with the names of what it joins."""

    function_id: str | None = None
    function: str | None = None
    model_name: str | None = None
    model_type: str | None = None
    provider_model_id: str | None = None
    provider_name: str | None = None
    fallback_model_name: str | None = None


class ServiceRow(Row):
    """A service and its functions."""

    id: str = ""
    service_name: str
    functions: list[str]


class ProviderFields(TypedDict, total=False):
    """A provider."""

    name: str
    type: str
    description: str | None
    api_base: str | None
    api_key_env_var: str | None
    tensorzero: JsonObject
    only_with_key: bool
    litellm: JsonObject
    metadata: JsonObject
    active: bool
    route_by: str | None


class CategoryFields(TypedDict, total=False):
    """A category."""

    name: str
    description: str
    icon: str | None
    key: str


class ModelFields(TypedDict, total=False):
    """A model. Prices in US dollars per million tokens; memory in MiB; dates as `2026-01-31`."""

    display_name: str | None
    max_output_tokens: int | None
    cost_per_1m_input_tokens: float | None
    cost_per_1m_output_tokens: float | None
    cost_per_1m_cached_input_tokens: float | None
    further_prices: Sequence[JsonObject] | None
    price_factors: JsonObject | None
    rate_limit_rpm: int | None
    rate_limit_tpm: int | None
    latency_p50_ms: int | None
    latency_p99_ms: int | None
    quality_scores: JsonObject | None
    benchmarks: JsonObject | None
    category: str | None
    training_entry: JsonObject | None
    base_architecture: str | None
    parameters: str | None
    quantization: JsonObject | None
    requirements: JsonObject | None
    training_defaults: JsonObject | None
    inference_defaults: JsonObject | None
    urls: JsonObject | None
    tags: Sequence[str] | None
    framework: str | None
    task_types: Sequence[str] | None
    model_version: str | None
    license: str | None
    replaced_by: str | None
    released_on: str | None
    deprecated_on: str | None
    retires_on: str | None
    provider_id: str | None
    name: str
    model_id: str
    model_type: str
    capabilities: Sequence[str] | JsonObject
    vram_mb: int | None
    context_length: int | None
    description: str | None
    routing_priority: int
    tensorzero: JsonObject
    litellm: JsonObject
    metadata: JsonObject
    active: bool
    status: str
    context_window: int | None
    provider: str | None
    provider_name: str | None


class AliasFields(TypedDict, total=False):
    """An alias; `model` is an id or a name."""

    model_id: str | None
    alias: str
    context: str | None
    model: str | None
    provider: str | None


class FunctionFields(TypedDict, total=False):
    """A function of a service."""

    service_name: str
    function_name: str
    name: str | None
    type: str
    description: str | None
    tensorzero: JsonObject
    litellm: JsonObject
    gateway: str | None
    project: str | None
    metadata: JsonObject


class MappingFields(TypedDict, total=False):
    """A mapping; `model` is an id or a name."""

    service_name: str
    function_name: str
    variant_name: str
    model_id: str | None
    priority: int
    weight: float
    fallback_model_id: str | None
    tensorzero: JsonObject
    litellm: JsonObject
    metadata: JsonObject
    model: str | None
    provider: str | None
    fallback_provider: str | None
