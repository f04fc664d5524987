"""LiteLLM's names of providers, in its price map, as the registry's providers and types."""

from __future__ import annotations

from typing import NamedTuple

from model_registry.entities.provider_types import PROVIDER_TYPES


class Namesake(NamedTuple):
    """The registry's counterpart of one of LiteLLM's providers."""

    name: str
    """The name of a new provider; an existing one keeps its own."""
    type: str


_NAMESAKES = {
    name: Namesake(kind.account or kind.name, kind.name)
    for kind in PROVIDER_TYPES.values()
    if kind.litellm
    for name in kind.litellm.providers
} | {"cohere_chat": Namesake("cohere", "custom")}


def namesake(litellm_provider: str, model_id: str) -> Namesake:
    """Find the type that a provider of LiteLLM's means; a custom provider of the same name where there is none."""
    if litellm_provider == "vertex_ai" and model_id.startswith("gemini-"):
        return _NAMESAKES["vertex_ai-language-models"]
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
