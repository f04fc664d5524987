"""The fields of each resource that a client writes, by name and JSON type.

A test compares them with the registry's own. The registry decides which values are valid: a newer one may take more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

Json = Mapping[str, Any]


class ProviderFields(TypedDict, total=False):
    """A provider."""

    name: str
    type: str
    api_base: str | None
    api_key_env_var: str | None
    tensorzero: Json
    metadata: Json
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
    rate_limit_rpm: int | None
    rate_limit_tpm: int | None
    latency_p50_ms: int | None
    latency_p99_ms: int | None
    quality_scores: Json | None
    benchmarks: Json | None
    category: str | None
    base_architecture: str | None
    parameters: str | None
    quantization: Json | None
    requirements: Json | None
    training_defaults: Json | None
    inference_defaults: Json | None
    urls: Json | None
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
    capabilities: Sequence[str] | Json
    vram_mb: int | None
    context_length: int | None
    description: str | None
    routing_priority: int
    tensorzero: Json
    metadata: Json
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
    tensorzero: Json
    metadata: Json


class MappingFields(TypedDict, total=False):
    """A mapping; `model` is an id or a name."""

    service_name: str
    function_name: str
    variant_name: str
    model_id: str | None
    priority: int
    weight: float
    fallback_model_id: str | None
    tensorzero: Json
    metadata: Json
    model: str | None
    provider: str | None
    fallback_provider: str | None
