"""Makes LiteLLM's entry of one model row at its provider: one deployment of a model group. Pure.

Two columns hold what the registry does not model. `litellm` of a provider: `prefix`, LiteLLM's name of the provider
where it is not that of the type, and keys of `litellm_params` for all its models. `litellm` of a model: `prefix`,
`litellm_params`, `model_info`, and other keys of the entry. The model's wins, and a null removes a key.
"""

from __future__ import annotations

from collections.abc import Mapping

from model_registry.entities.model import Model, canonical
from model_registry.entities.provider import Provider
from model_registry.entities.provider_types import PROVIDER_TYPES
from model_registry.gateways.litellm.config import ENVIRONMENT, Table, as_table
from model_registry.imports.sources.litellm_config import per_token, written

PREFIX, PARAMS, INFO = "prefix", "litellm_params", "model_info"

PLACEHOLDER = "none"
"""The key for a server that needs none: LiteLLM's OpenAI client asks for one."""

MODES: Mapping[str, str] = {
    "chat": "chat",
    "vl": "chat",
    "embedding": "embedding",
    "reranker": "rerank",
    "tts": "audio_speech",
    "audio": "audio_transcription",
    "image": "image_generation",
}
"""Model type -> LiteLLM's mode. It has none for `other`."""

_REGIONS = {"region": "aws_region_name", "location": "vertex_location", "project_id": "vertex_project"}
"""Extra keys of a provider in TensorZero's configuration -> LiteLLM's names."""
_COUNTS = {"max_input_tokens": "context_length", "max_output_tokens": "max_output_tokens"}
_PRICES = {
    "input_cost_per_token": "cost_per_1m_input_tokens",
    "output_cost_per_token": "cost_per_1m_output_tokens",
    "cache_read_input_token_cost": "cost_per_1m_cached_input_tokens",
}
FLAGS: Mapping[str, str] = {
    "tool_use": "supports_function_calling",
    "parallel_tool_use": "supports_parallel_function_calling",
    "vision": "supports_vision",
    "structured_outputs": "supports_response_schema",
    "reasoning": "supports_reasoning",
    "prompt_caching": "supports_prompt_caching",
    "pdf_input": "supports_pdf_input",
    "audio_input": "supports_audio_input",
    "audio_output": "supports_audio_output",
    "web_search": "supports_web_search",
}
"""Capability -> the key of `model_info` that says it."""


def deployment(model: Model, provider: Provider, order: int | None = None) -> Table:
    """Return the entry of `model_list` for this row.

    Args:
        model: the row.
        provider: its provider.
        order: the rank within its group, from 1; None where all deployments of the group are alike.
    """
    own = model.litellm
    prefix = own.get(PREFIX, prefix_of(provider))
    params: Table = {"model": f"{prefix}/{model.model_id}" if prefix else model.model_id}
    params |= connection(provider, prefix)
    if order is not None:
        params["order"] = order
    entry: Table = {
        "model_name": model.name,
        PARAMS: _with(params, as_table(own.get(PARAMS))),
        INFO: _with(_info(model, provider), as_table(own.get(INFO))),
    }
    return _with(entry, {key: value for key, value in own.items() if key not in {PREFIX, PARAMS, INFO}})


def prefix_of(provider: Provider) -> str:
    """Return LiteLLM's name of a provider; empty where it has none."""
    kind = PROVIDER_TYPES.get(provider.type)
    usual = kind.litellm.prefix if kind and kind.litellm else ""
    return str(provider.litellm.get(PREFIX, usual))


def connection(provider: Provider, prefix: str | None = None) -> Table:
    """Return the keys of `litellm_params` that all models of a provider have: address, key, where and as whom."""
    prefix = prefix_of(provider) if prefix is None else prefix
    params: Table = {}
    if base := provider.api_base:
        params["api_base"] = base.rstrip("/").removesuffix("/v1") if provider.type == "ollama" else base
    if variable := provider.api_key_env_var:
        params["api_key"] = f"{ENVIRONMENT}{variable}"
    elif base and prefix == "openai":
        params["api_key"] = PLACEHOLDER
    extras = provider.tensorzero
    params |= {theirs: extras[ours] for ours, theirs in _REGIONS.items() if isinstance(extras.get(ours), str)}
    return _with(params, {key: value for key, value in provider.litellm.items() if key != PREFIX})


def _with(table: Table, more: Mapping[str, object]) -> Table:
    """Return a table with other keys laid over it; a null removes a key."""
    return {key: value for key, value in (table | dict(more)).items() if value is not None or key not in more}


def _info(model: Model, provider: Provider) -> Table:
    mode = MODES.get(model.model_type)
    info: Table = {"id": model.id}
    if mode:
        info["mode"] = mode
    facts = model.card | {"context_length": model.context_length}
    info |= {theirs: facts[ours] for theirs, ours in _COUNTS.items() if facts.get(ours)}
    info |= {theirs: per_token(facts[ours]) for theirs, ours in _PRICES.items() if facts.get(ours) is not None}
    further, _ = written(model.card | {"provider_type": provider.type}, mode or "")
    tags = {canonical(tag) for tag in model.capabilities}
    return info | further | {theirs: True for tag, theirs in FLAGS.items() if tag in tags}
