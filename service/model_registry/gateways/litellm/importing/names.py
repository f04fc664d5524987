"""What LiteLLM's names of models mean: its prefix, our type of the provider, the model's own name. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from model_registry.entities.provider_types import PROVIDER_TYPES
from model_registry.gateways.litellm.config import ENVIRONMENT, Entry, variable_of

STAR = "*"
"""Stands for any part of a name, in `model_name` and in the model."""

CUSTOM = "custom"
"""The type of a provider that no other kind of gateway has a type for."""

_TYPES = {
    kind.litellm.prefix: name
    for name, kind in reversed(list(PROVIDER_TYPES.items()))
    if kind.litellm and name not in {"aws_sagemaker", "openai_compatible", "sglang", "tgi"}
} | {
    "text-completion-openai": "openai",
    "ollama": "ollama",
    "azure_text": "azure",
    "bedrock_converse": "aws_bedrock",
    "vertex_ai": "gcp_vertex_gemini",
}
"""LiteLLM's prefix -> our type."""

_ROUTES = frozenset({
    "bedrock/converse", "bedrock/invoke", "bedrock/converse_like", "openai/responses", "azure/responses",
    "azure/o_series", "azure/gpt5_series", "openai/chat",
})  # fmt: skip
"""Prefixes whose second part is how to ask, and no part of the model's name."""

_BARE = (
    (
        re.compile(
            r"(ft:)?(gpt-|o[134](-|$)|chatgpt-|text-embedding-|dall-e|tts-|whisper-|davinci|babbage|omni-|codex-)"
        ),
        "openai",
    ),
    (re.compile(r"claude-"), "anthropic"),
    (re.compile(r"(command|embed-|rerank-)"), "cohere"),
)
"""Models that LiteLLM knows without a prefix -> the prefix that they would have."""

_NO_MODEL = frozenset({"auto_router", "complexity_router", "adaptive_router", "quality_router", "litellm_agent"})
"""Prefixes of entries that choose among the others."""


@dataclass(frozen=True, slots=True)
class ModelName:
    """The parts of `litellm_params.model`."""

    prefix: str
    """As written; empty where there is none."""
    model_id: str
    """The provider's own name of the model."""
    provider: str
    """LiteLLM's provider: the prefix without a route, or the one that it finds by itself; empty where none is known."""


def model_name(entry: Entry) -> ModelName:
    """Split the name of an entry's model."""
    text, stated = entry.model, entry.params.get("custom_llm_provider")
    if isinstance(stated, str) and stated:
        start = f"{stated}/"
        return (
            ModelName(stated, text.removeprefix(start), stated)
            if text.startswith(start)
            else ModelName("", text, stated)
        )
    first, slash, rest = text.partition("/")
    if not slash:
        return ModelName("", text, next((name for pattern, name in _BARE if pattern.match(text)), ""))
    route, more, last = rest.partition("/")
    if more and f"{first}/{route}" in _ROUTES:
        return ModelName(f"{first}/{route}", last, first)
    return ModelName(first, rest, first)


def type_of_prefix(prefix: str) -> str | None:
    """Return our type of LiteLLM's provider, or None."""
    return _TYPES.get(prefix)


def why_no_model(entry: Entry) -> str | None:
    """Return why an entry is kept as it is and becomes no model, or None."""
    name = model_name(entry)
    if STAR in entry.model_name or STAR in entry.model:
        return "it is a wildcard, and no single model"
    if variable_of(entry.model) or name.model_id.startswith(ENVIRONMENT):
        return "its model is in an environment variable"
    if name.provider in _NO_MODEL:
        return "it chooses among other entries"
    return None if name.model_id else "it names a provider and no model"
