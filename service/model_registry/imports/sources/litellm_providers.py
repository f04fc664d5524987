"""The table of LiteLLM's providers and ours, for reading its price map and writing its configuration."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Namesake:
    """Our counterpart of a LiteLLM provider."""

    name: str
    """The name of a new provider; an existing one keeps its own."""
    type: str


_SAME = (
    "anthropic",
    "azure",
    "deepseek",
    "groq",
    "hyperbolic",
    "mistral",
    "ollama",
    "openai",
    "openrouter",
    "xai",
)
"""Providers with the same name in both, which is also our provider type."""

_BEDROCK = Namesake("aws_bedrock", "aws_bedrock")
_FIREWORKS = Namesake("fireworks", "fireworks")
_GEMINI = Namesake("gcp_vertex_gemini", "gcp_vertex_gemini")

_NAMESAKES = {
    **{name: Namesake(name, name) for name in _SAME},
    "azure_text": Namesake("azure", "azure"),
    "bedrock": _BEDROCK,
    "bedrock_converse": _BEDROCK,
    "cohere_chat": Namesake("cohere", "custom"),
    "fireworks_ai": _FIREWORKS,
    "fireworks_ai-embedding-models": _FIREWORKS,
    "gemini": Namesake("google_ai_studio", "google_ai_studio_gemini"),
    "sagemaker": Namesake("aws_sagemaker", "aws_sagemaker"),
    "text-completion-openai": Namesake("openai", "openai"),
    "together_ai": Namesake("together", "together"),
    "vertex_ai-anthropic_models": Namesake("gcp_vertex_anthropic", "gcp_vertex_anthropic"),
    "vertex_ai-embedding-models": _GEMINI,
    "vertex_ai-language-models": _GEMINI,
    "vertex_ai-text-models": _GEMINI,
}

ROUTES = {
    "anthropic": "anthropic",
    "aws_bedrock": "bedrock",
    "aws_sagemaker": "sagemaker",
    "azure": "azure",
    "deepseek": "deepseek",
    "fireworks": "fireworks_ai",
    "gcp_vertex_anthropic": "vertex_ai",
    "gcp_vertex_gemini": "vertex_ai",
    "google_ai_studio_gemini": "gemini",
    "groq": "groq",
    "hyperbolic": "hyperbolic",
    "mistral": "mistral",
    "ollama": "ollama_chat",
    "openai": "openai",
    "openai_compatible": "openai",
    "openrouter": "openrouter",
    "sglang": "openai",
    "tgi": "openai",
    "together": "together_ai",
    "vllm": "hosted_vllm",
    "xai": "xai",
}
"""Provider type -> LiteLLM's prefix of a model. `custom` has none, as it may be anything."""


def namesake(litellm_provider: str, model_id: str) -> Namesake:
    """Return our counterpart of a LiteLLM provider: one of the gateway's types, or a custom one of the same name."""
    if litellm_provider == "vertex_ai" and model_id.startswith("gemini-"):
        return _GEMINI
    known = _NAMESAKES.get(litellm_provider)
    if known is not None:
        return known
    family = litellm_provider.partition("-")[0] if litellm_provider.startswith("vertex_ai-") else litellm_provider
    return Namesake(family, "custom")


def split_key(litellm_provider: str, key: str) -> str:
    """Return the provider's name of a model: the map's key without LiteLLM's prefix."""
    first, slash, rest = key.partition("/")
    start = first.replace("-", "_")
    families = (
        litellm_provider.replace("-", "_"),
        litellm_provider.partition("-")[0],
        litellm_provider.partition("_")[0],
    )
    return rest if slash and start in families else key
