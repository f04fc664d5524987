"""Writes the catalogue as a LiteLLM proxy's configuration: `model_list` with prices, keys by variable names. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

import yaml

from model_registry.entities.model import canonical
from model_registry.entities.offer import PassedOver
from model_registry.entities.prices import STANDARD
from model_registry.entities.provider_types import PROVIDER_TYPES
from model_registry.imports.sources.litellm_rates import FACTORS, SEARCHES, SECONDS, TIERS, UNITS, XAI

View = Mapping[str, Any]

_PREFIXES = {name: kind.litellm.prefix for name, kind in PROVIDER_TYPES.items() if kind.litellm}
_MODES = {
    "chat": "chat",
    "vl": "chat",
    "embedding": "embedding",
    "reranker": "rerank",
    "tts": "audio_speech",
    "audio": "audio_transcription",
    "image": "image_generation",
}
_COUNTS = {"max_input_tokens": "context_length", "max_output_tokens": "max_output_tokens"}
_PRICES = {
    "input_cost_per_token": "cost_per_1m_input_tokens",
    "output_cost_per_token": "cost_per_1m_output_tokens",
    "cache_read_input_token_cost": "cost_per_1m_cached_input_tokens",
}
_FLAGS = {
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
_EXTRAS = {"region": "aws_region_name", "location": "vertex_location", "project_id": "vertex_project"}
"""Extra keys of a provider in the gateway's configuration -> LiteLLM's names."""

_NO_KEY = "none"
"""LiteLLM's OpenAI client requires a key, even for a server that needs none."""


_KEYS: dict[str, str] = {unit: key for key, unit in UNITS.items()}
_SUFFIXES = {tier: suffix for suffix, tier in TIERS.items()}
_SEARCH_KEYS = {ours: theirs for theirs, ours in SEARCHES.items()}
_MORE_KEYS = {"running_seconds": "input_cost_per_second"}


def litellm_config(models: Iterable[View], providers: Iterable[View]) -> tuple[dict[str, Any], tuple[PassedOver, ...]]:
    """Make the configuration, and list the models that LiteLLM cannot serve and prices that it cannot say.

    Rows are those of `GET /api/models` and `/api/providers`. Rows that share a name become one model in LiteLLM too,
    whose deployments are tried in order.
    """
    extras = {provider["id"]: provider["tensorzero"] for provider in providers}
    entries, passed_over = [], []
    for model in models:
        if model["provider_type"] not in _PREFIXES:
            reason = f"LiteLLM has no route for providers of type {model['provider_type']}"
            passed_over.append(PassedOver(model["name"], reason))
        elif model["model_type"] not in _MODES:
            passed_over.append(PassedOver(model["name"], f"LiteLLM has no models of type {model['model_type']}"))
        else:
            entry, left_out = _entry(model, extras.get(model["provider_id"], {}))
            entries.append(entry)
            if left_out:
                reason = f"LiteLLM's configuration has no place for these prices of it: {'; '.join(left_out)}"
                passed_over.append(PassedOver(model["name"], reason))
    return {"model_list": entries}, tuple(passed_over)


def as_yaml(config: Mapping[str, Any]) -> str:
    """Write the text of `config.yaml`."""
    text: str = yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True)
    return "# Written by the model registry. Changes belong there.\n" + text


def _entry(model: View, extras: View) -> tuple[dict[str, Any], list[str]]:
    kind = model["provider_type"]
    route = "ollama" if kind == "ollama" and model["model_type"] == "embedding" else _PREFIXES[kind]
    params: dict[str, Any] = {"model": f"{route}/{model['model_id']}"}
    if base := model["api_base"]:
        params["api_base"] = base.rstrip("/").removesuffix("/v1") if kind == "ollama" else base
    if variable := model["api_key_env_var"]:
        params["api_key"] = f"os.environ/{variable}"
    elif route == "openai" and base:
        params["api_key"] = _NO_KEY
    params |= {theirs: extras[ours] for ours, theirs in _EXTRAS.items() if isinstance(extras.get(ours), str)}
    if model["routing_priority"] > 0:
        params["order"] = model["routing_priority"]
    info, left_out = _info(model)
    return {"model_name": model["name"], "litellm_params": params, "model_info": info}, left_out


def _info(model: View) -> tuple[dict[str, Any], list[str]]:
    info: dict[str, Any] = {"id": model["id"], "mode": _MODES[model["model_type"]]}
    info |= {theirs: model[ours] for theirs, ours in _COUNTS.items() if model[ours]}
    info |= {theirs: per_token(model[ours]) for theirs, ours in _PRICES.items() if model[ours] is not None}
    further, left_out = written(model, info["mode"])
    info |= further
    tags = {canonical(tag) for tag in model["capabilities"]}
    return info | {theirs: True for tag, theirs in _FLAGS.items() if tag in tags}, left_out


def per_token(price: float) -> float:
    """Convert a price per million tokens to one per token, exactly: 0.15 is 1.5e-07."""
    return float(Decimal(str(price)) / 1_000_000)


def written(card: Mapping[str, Any], mode: str) -> tuple[dict[str, Any], list[str]]:
    """Write the further prices of a card as an entry has them, and name those that it has no place for."""
    keys: dict[str, Any] = {}
    left_out = []
    for price in card.get("further_prices") or ():
        unit, number = price["of"], _per_unit(price)
        if unit in _SEARCH_KEYS and price.get("tier", STANDARD) == STANDARD:
            keys.setdefault("search_context_cost_per_query", {})[_SEARCH_KEYS[unit]] = number
        elif (key := _key(price, mode, inclusive=card.get("provider_type") == XAI)) is not None:
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
    """Return the map's key of a price."""
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
