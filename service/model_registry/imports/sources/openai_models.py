"""Reads the models of a server with OpenAI's interface: `/v1/models`. Fetching is in `fetch.py`.

OpenAI's own answer has only names; vLLM, Groq, Mistral and OpenRouter add facts, each in its own fields.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from model_registry.entities.offer import Offer, PassedOver, SourceContent
from model_registry.imports.sources.litellm_prices import per_million

SOURCE = "openai"

_CONTEXT = ("max_model_len", "context_length", "context_window", "max_context_length")
_OUTPUT = ("max_completion_tokens", "max_output_tokens")
_PRICES = {
    "cost_per_1m_input_tokens": "prompt",
    "cost_per_1m_output_tokens": "completion",
    "cost_per_1m_cached_input_tokens": "input_cache_read",
}
"""OpenRouter's `pricing`: US dollars per token, as text."""

_TYPES = (
    (r"embed", "embedding"),
    (r"rerank", "reranker"),
    (r"whisper|transcri", "audio"),
    (r"(^|[^a-z])tts([^a-z]|$)", "tts"),
    (r"dall-e|image|flux|stable-diffusion", "image"),
)
"""The interface has no model type, but the name usually implies one. All others are chat models."""


def read_openai_models(answer: object, provider: str, provider_type: str, api_base: str) -> SourceContent:
    """Make the offers of a server at `api_base`."""
    listed = answer.get("data") if isinstance(answer, Mapping) else answer
    offers, passed_over = [], []
    for model in listed if isinstance(listed, list) else ():
        model_id = model.get("id") if isinstance(model, Mapping) else None
        if not isinstance(model_id, str) or not model_id:
            passed_over.append(PassedOver(str(model)[:100], "has no id"))
            continue
        fields = _facts(model, model_id)
        offers.append(
            Offer(provider=provider, provider_type=provider_type, api_base=api_base, model_id=model_id, fields=fields)
        )
    return SourceContent(tuple(offers), tuple(passed_over))


def _facts(model: Mapping[str, Any], model_id: str) -> dict[str, Any]:
    """Return the facts in the answer only, so that others stay as they were: servers differ in what they report."""
    top = model.get("top_provider")
    pricing = model.get("pricing")
    fields = {
        "model_type": next((kind for word, kind in _TYPES if re.search(word, model_id.lower())), "chat"),
        "context_length": _first(model, _CONTEXT),
        "max_output_tokens": _first(model, _OUTPUT) or (_first(top, _OUTPUT) if isinstance(top, Mapping) else None),
        "description": model.get("description"),
        "capabilities": _capabilities(model),
        **{field: _price(pricing, theirs) for field, theirs in _PRICES.items()},
    }
    return {name: value for name, value in fields.items() if value not in (None, [], "")}


def _capabilities(model: Mapping[str, Any]) -> list[str]:
    """Return tags from Mistral's flags and from OpenRouter's parameters and modalities."""
    flags = model.get("capabilities")
    tags = []
    if isinstance(flags, Mapping):
        tags += [str(tag).replace("completion_chat", "chat") for tag, supported in flags.items() if supported is True]
    parameters = model.get("supported_parameters")
    if isinstance(parameters, list):
        known = {"tools": "tool_use", "structured_outputs": "structured_outputs", "response_format": "json_mode"}
        tags += [tag for theirs, tag in known.items() if theirs in parameters]
    architecture = model.get("architecture")
    if isinstance(architecture, Mapping) and "image" in (architecture.get("input_modalities") or ()):
        tags.append("vision")
    return list(dict.fromkeys(tags))


def _first(of: Mapping[str, Any], keys: tuple[str, ...]) -> object:
    return next((of[key] for key in keys if of.get(key)), None)


def _price(pricing: object, key: str) -> object:
    value = pricing.get(key) if isinstance(pricing, Mapping) else None
    try:
        price = float(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else None
    except ValueError:
        return None
    # A negative price depends on the model chosen at request time.
    return None if price is None or price < 0 else per_million(price)
