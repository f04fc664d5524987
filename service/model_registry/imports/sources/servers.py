"""Reads the models of a server: Ollama's `/api/tags` and `/api/show`, or `/v1/models` of OpenAI's interface.

OpenAI's own answer has only names; vLLM, Groq, Mistral and OpenRouter add facts, each in its own fields. Fetching is in
`fetch.py`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from model_registry.entities.offer import Offer, PassedOver, SourceContent
from model_registry.imports.sources.huggingface import needed_gb, parameters_text
from model_registry.imports.sources.litellm_prices import per_million

OLLAMA = "ollama"
OPENAI = "openai"
"""Names of the sources."""

_TAGS = {
    "completion": ("chat", "streaming"),
    "tools": ("tool_use",),
    "vision": ("vision",),
    "thinking": ("reasoning",),
    "embedding": ("embeddings",),
    "insert": ("fill_in_the_middle",),
    "image": ("image_generation",),
    "audio": ("audio_input",),
}
"""Ollama's capabilities -> ours. Others keep their name."""


def model_names(tags: object) -> list[str]:
    """Return the names of the models in an answer of `/api/tags`."""
    return [name for model in _listed(tags) if (name := _name(model)) is not None]


def read_ollama(tags: object, shown: Mapping[str, Any], url: str, provider: str) -> SourceContent:
    """Make the offers of a server at `url` from its list and, by name, its details of each model."""
    offers, passed_over = [], []
    for model in _listed(tags):
        name = _name(model)
        if name is None:
            passed_over.append(PassedOver(str(model)[:100], "has no name"))
        elif name not in shown:
            passed_over.append(PassedOver(name, "the server does not show it"))
        else:
            offers.append(_offer(name, model, _object(shown[name]), url, provider))
    return SourceContent(tuple(offers), tuple(passed_over))


def _listed(tags: object) -> list[Any]:
    models = _object(tags).get("models")
    return models if isinstance(models, list) else []


def _name(model: object) -> str | None:
    return _text(model, "name") or _text(model, "model")


def _offer(name: str, listed: Mapping[str, Any], shown: Mapping[str, Any], url: str, provider: str) -> Offer:
    details = _object(listed.get("details")) | _object(shown.get("details"))
    info = _object(shown.get("model_info"))
    listed_tags = shown.get("capabilities") or listed.get("capabilities")
    capabilities = [tag for tag in listed_tags if isinstance(tag, str)] if isinstance(listed_tags, list) else []
    embeds = "embedding" in capabilities and "completion" not in capabilities
    # Models that Ollama runs in its cloud need no memory here.
    size = 0 if listed.get("remote_host") or shown.get("remote_host") else listed.get("size")
    memory = needed_gb(size) if isinstance(size, int | float) else None
    fields = {
        "model_type": "embedding" if embeds else "chat",
        "capabilities": list(dict.fromkeys(tag for theirs in capabilities for tag in _TAGS.get(theirs, (theirs,)))),
        "category": "embedding" if embeds else "vision-vlm" if "vision" in capabilities else "text-llm",
        "context_length": _context_length(info),
        "base_architecture": _text(details, "family") or _text(info, "general.architecture"),
        "parameters": _parameters(details, info),
        "quantization": _quantization(details),
        "requirements": None if memory is None else {"min_vram_gb": memory},
    }
    return Offer(
        provider=provider,
        provider_type="ollama",
        api_base=f"{url.rstrip('/').removesuffix('/v1')}/v1",
        model_id=name,
        fields=fields,
        estimated=["requirements"],
    )


def _context_length(info: Mapping[str, Any]) -> object:
    """Find the context length. Its key starts with the architecture: `llama.context_length`; parts have others."""
    own = f"{info.get('general.architecture')}.context_length"
    return info.get(own) or next((info[key] for key in sorted(info) if key.endswith(".context_length")), None)


def _parameters(details: Mapping[str, Any], info: Mapping[str, Any]) -> str | None:
    size = _text(details, "parameter_size")
    if size is not None and re.fullmatch(r"\d+(\.\d+)?[KMBT]", size):
        return size
    count = info.get("general.parameter_count")
    return parameters_text(count) if isinstance(count, int | float) else None


def _quantization(details: Mapping[str, Any]) -> dict[str, str] | None:
    level = _text(details, "quantization_level")
    if level is None or level == "unknown":
        return None
    return {"type": level} | ({"method": "gguf"} if _text(details, "format") == "gguf" else {})


def _object(value: object) -> dict[str, Any]:
    return dict(value) if isinstance(value, Mapping) else {}


def _text(of: object, key: str) -> str | None:
    value = _object(of).get(key)
    return value if isinstance(value, str) and value else None


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


def type_of_server(answer: object) -> str:
    """Return the provider type of a server by what its models say of their owner."""
    listed = answer.get("data") if isinstance(answer, Mapping) else answer
    owners = (
        [model.get("owned_by") for model in listed if isinstance(model, Mapping)] if isinstance(listed, list) else []
    )
    return next((kind for kind in ("vllm", "sglang") if kind in owners), "openai_compatible")


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
    top, pricing = _object(model.get("top_provider")), _object(model.get("pricing"))
    fields = {
        "model_type": next((kind for word, kind in _TYPES if re.search(word, model_id.lower())), "chat"),
        "context_length": _first(model, _CONTEXT),
        "max_output_tokens": _first(model, _OUTPUT) or _first(top, _OUTPUT),
        "description": model.get("description"),
        "capabilities": _capabilities(model),
        **{field: _price(pricing, theirs) for field, theirs in _PRICES.items()},
    }
    return {name: value for name, value in fields.items() if value not in (None, [], "")}


def _capabilities(model: Mapping[str, Any]) -> list[str]:
    """Return tags from Mistral's flags and from OpenRouter's parameters and modalities."""
    flags = _object(model.get("capabilities"))
    tags = [str(tag).replace("completion_chat", "chat") for tag, supported in flags.items() if supported is True]
    parameters = model.get("supported_parameters")
    if isinstance(parameters, list):
        known = {"tools": "tool_use", "structured_outputs": "structured_outputs", "response_format": "json_mode"}
        tags += [tag for theirs, tag in known.items() if theirs in parameters]
    if "image" in (_object(model.get("architecture")).get("input_modalities") or ()):
        tags.append("vision")
    return list(dict.fromkeys(tags))


def _first(of: Mapping[str, Any], keys: tuple[str, ...]) -> object:
    return next((of[key] for key in keys if of.get(key)), None)


def _price(pricing: Mapping[str, Any], key: str) -> object:
    value = pricing.get(key)
    try:
        price = float(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else None
    except ValueError:
        return None
    # A negative price depends on the model chosen at request time.
    return None if price is None or price < 0 else per_million(price)
