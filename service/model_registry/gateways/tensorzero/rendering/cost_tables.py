"""Makes the gateway's `cost` of a model's prices, and says which prices it has no place for.

The gateway adds up counts of an answer's usage. Tokens that are part of another count (cached ones, those of reasoning)
are charged the difference to its price. What depends on a request's length, terms or region has no place there.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from model_registry.entities.gpu_memory import number
from model_registry.entities.model import ROUTED_TYPES, Model
from model_registry.entities.prices import STANDARD

PRICES = {
    "cost_per_1m_input_tokens": "/usage/prompt_tokens",
    "cost_per_1m_output_tokens": "/usage/completion_tokens",
}
"""Price field -> pointer to its token count in an answer of OpenAI's format. US dollars per million tokens."""

_CACHED = "cost_per_1m_cached_input_tokens"
_INPUT, _OUTPUT = PRICES
_PARTS = {
    "cached_input_tokens": ("/usage/prompt_tokens_details/cached_tokens", _INPUT),
    "reasoning_tokens": ("/usage/completion_tokens_details/reasoning_tokens", _OUTPUT),
    "input_audio_tokens": ("/usage/prompt_tokens_details/audio_tokens", _INPUT),
    "output_audio_tokens": ("/usage/completion_tokens_details/audio_tokens", _OUTPUT),
}
"""Unit -> pointer to its count, and the price of the whole that it is part of."""


def prices(model: Model) -> dict[str, float]:
    """Return the plain prices that the gateway can charge."""
    # Embeddings have no output to pay for.
    keys = list(PRICES) if model.model_type in ROUTED_TYPES else list(PRICES)[:1]
    # Rows from before model cards may have prices in their metadata.
    given = {key: model.card.get(key, model.metadata.get(key)) for key in keys}
    return {key: found for key in keys if (found := price(given[key])) is not None}


def price(value: object) -> float | None:
    """Return a price, if the value is one."""
    found = number(value)
    return found if found >= 0 else None


def cost_table(model: Model) -> list[dict[str, Any]]:
    """Return the entries of `cost`; none without plain prices."""
    plain = prices(model)
    entries = [{"pointer": PRICES[key], "cost_per_million": found} for key, found in plain.items()]
    for unit, own in _own_prices(model).items():
        pointer, whole = _PARTS[unit]
        # A price of 0 is no reason to look into an answer.
        if whole in plain and (difference := own - Decimal(repr(plain[whole]))):
            entries.append({"pointer": pointer, "cost_per_million": float(difference)})
    return entries


def _own_prices(model: Model) -> dict[str, Decimal]:
    """Return the prices of parts of a count, per million."""
    if model.model_type not in ROUTED_TYPES:
        return {}
    found = {entry["of"]: entry["per_million"] for entry in _further(model) if _is_carried(entry)}
    if (cached := price(model.card.get(_CACHED))) is not None:
        found["cached_input_tokens"] = repr(cached)
    return {unit: Decimal(str(found[unit])) for unit in _PARTS if unit in found}


def _is_carried(entry: dict[str, Any]) -> bool:
    plain = entry.get("tier", STANDARD) == STANDARD and not entry.get("above_input_tokens") and not entry.get("variant")
    return plain and entry.get("of") in _PARTS and isinstance(entry.get("per_million"), str)


def _further(model: Model) -> Iterator[dict[str, Any]]:
    further = model.card.get("further_prices")
    # Rows written in SQL may hold any JSON.
    yield from (entry for entry in further if isinstance(entry, dict)) if isinstance(further, list) else ()


def left_out(model: Model) -> str | None:
    """Return which prices the gateway's cost ignores, or None."""
    units = [_named(entry) for entry in _further(model) if not _is_carried(entry)]
    units += [f"factors for {', '.join(model.card['price_factors'])}"] if model.card.get("price_factors") else []
    return f"its cost in the gateway leaves out the prices of {'; '.join(dict.fromkeys(units))}" if units else None


def _named(entry: dict[str, Any]) -> str:
    terms = [str(entry.get("name") or entry.get("of"))]
    if above := entry.get("above_input_tokens"):
        terms.append(f"above {above} input tokens")
    terms += [str(entry[key]) for key in ("tier", "variant") if entry.get(key) not in (None, STANDARD)]
    return " ".join(terms)
