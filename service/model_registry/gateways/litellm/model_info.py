"""Writes what the catalogue knows of a model as LiteLLM's `model_info`: mode, limits, abilities and prices. Pure.

`imports/sources/litellm_rates.py` reads the same keys.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from model_registry.entities.model import Model, canonical
from model_registry.entities.prices import STANDARD
from model_registry.imports.sources.litellm_rates import FACTORS, SEARCHES, SECONDS, TIERS, UNITS, XAI

MODES = {
    "chat": "chat",
    "vl": "chat",
    "embedding": "embedding",
    "reranker": "rerank",
    "tts": "audio_speech",
    "audio": "audio_transcription",
    "image": "image_generation",
}
"""Our type of a model -> LiteLLM's mode."""

PRICES = {
    "input_cost_per_token": "cost_per_1m_input_tokens",
    "output_cost_per_token": "cost_per_1m_output_tokens",
    "cache_read_input_token_cost": "cost_per_1m_cached_input_tokens",
}
"""LiteLLM's key of a price per token -> the card's field, per million."""

FLAGS = {
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
"""Capability -> the key that says it."""

_KEYS: dict[str, str] = {unit: key for key, unit in UNITS.items()}
_SUFFIXES = {tier: suffix for suffix, tier in TIERS.items()}
_SEARCH_KEYS = {ours: theirs for theirs, ours in SEARCHES.items()}
_MORE_KEYS = {"running_seconds": "input_cost_per_second"}


def model_info(model: Model, provider_type: str) -> tuple[dict[str, Any], list[str]]:
    """Return the `model_info` of a model without its id, and the names of the prices that it has no place for."""
    mode = MODES[model.model_type]
    info: dict[str, Any] = {"mode": mode}
    counts = {"max_input_tokens": model.context_length, "max_output_tokens": model.card.get("max_output_tokens")}
    info |= {key: count for key, count in counts.items() if count}
    prices = {key: model.card.get(ours) for key, ours in PRICES.items()}
    info |= {key: per_token(price) for key, price in prices.items() if price is not None}
    further, left_out = written(model.card, mode, inclusive=provider_type == XAI)
    tags = {canonical(tag) for tag in model.capabilities}
    return info | further | {theirs: True for tag, theirs in FLAGS.items() if tag in tags}, left_out


def per_token(price: float) -> float:
    """Convert a price per million tokens to one per token, exactly: 0.15 is 1.5e-07."""
    return float(Decimal(str(price)) / 1_000_000)


def written(card: Mapping[str, Any], mode: str, *, inclusive: bool = False) -> tuple[dict[str, Any], list[str]]:
    """Write the further prices of a card as an entry has them, and name those that it has no place for.

    `inclusive`: the vendor's price by length begins at the length itself, and not above it.
    """
    keys: dict[str, Any] = {}
    left_out = []
    for price in card.get("further_prices") or ():
        unit, number = price["of"], _per_unit(price)
        if unit in _SEARCH_KEYS and price.get("tier", STANDARD) == STANDARD:
            keys.setdefault("search_context_cost_per_query", {})[_SEARCH_KEYS[unit]] = number
        elif (key := _key(price, mode, inclusive=inclusive)) is not None:
            keys[key] = number
        else:
            terms = (price.get("name") or unit, price.get("tier", STANDARD), price.get("variant"))
            left_out.append(" ".join(term for term in terms if term not in (None, STANDARD)))
    for name, factor in (card.get("price_factors") or {}).items():
        key = next((theirs for theirs, ours in FACTORS.items() if ours == name), None)
        if key is not None:
            keys[key] = float(factor)
        if key is None or name == "us":
            keys.setdefault("provider_specific_entry", {})[name] = float(factor)
    return keys, left_out


def _per_unit(price: Mapping[str, Any]) -> float | None:
    if (million := price.get("per_million")) is not None:
        return float(Decimal(million) / 1_000_000)
    return None if price.get("per_unit") is None else float(price["per_unit"])


def _key(price: Mapping[str, Any], mode: str, *, inclusive: bool) -> str | None:
    """Return LiteLLM's key of a price."""
    by_mode = {unit: name for name, unit in reversed(SECONDS.get(mode, {}).items())}
    if mode.startswith("image_"):
        # LiteLLM reads no other key.
        by_mode["output_pixels"] = "input_cost_per_pixel"
    key = by_mode.get(price["of"]) or _KEYS.get(price["of"]) or _MORE_KEYS.get(price["of"])
    tier = price.get("tier", STANDARD)
    if key is None or price.get("variant") or (tier != STANDARD and tier not in _SUFFIXES):
        return None
    if above := price.get("above_input_tokens"):
        above += inclusive
        key += f"_above_{above // 1000}k_tokens" if above % 1000 == 0 else f"_above_{above}_tokens"
    return key if tier == STANDARD else f"{key}_{_SUFFIXES[tier]}"
