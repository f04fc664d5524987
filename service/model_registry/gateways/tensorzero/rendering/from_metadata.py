"""Derives keys of a model's provider table from its card and metadata, where the row requests it.

`tensorzero.from_metadata` of a model lists them: `cost` (the prices), `timeouts`. Without it a row gets none, so
metadata never leaks into a configuration. `tensorzero.provider` overrides derived keys.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from model_registry.entities.model import ROUTED_TYPES, Model
from model_registry.entities.provider_types import GATEWAY_TYPES
from model_registry.gateways.tensorzero.project import Table

FROM_METADATA = "from_metadata"
COST, TIMEOUTS = "cost", "timeouts"

PRICES = {
    "cost_per_1m_input_tokens": "/usage/prompt_tokens",
    "cost_per_1m_output_tokens": "/usage/completion_tokens",
}
"""Price field -> pointer to its token count in an answer of OpenAI's format. US dollars per million tokens."""

_LIMITS = {"total_ms": "the longest time for a whole answer", "ttft_ms": "for the first token of a streamed one"}
"""Keys of `metadata.timeouts`, in milliseconds."""


def derived_keys(model: Model, gateway_type: str | None, extras: Mapping[str, Any]) -> Table:
    """Return the requested keys, as far as they are valid; `faults` reports the others."""
    asked = _asked(model)
    table: Table = {}
    if COST in asked and _knows_usage(gateway_type, extras) and (prices := _prices(model)):
        table["cost"] = [{"pointer": PRICES[key], "cost_per_million": price} for key, price in prices.items()]
    if TIMEOUTS in asked:
        table |= _timeouts(model)
    return table


def faults(model: Model, gateway_type: str | None, extras: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield the errors of the row's request: the column's path, and the reason."""
    here = ("tensorzero", FROM_METADATA)
    value = model.tensorzero.get(FROM_METADATA)
    if value is None:
        return
    if not isinstance(value, list) or not all(item in (COST, TIMEOUTS) for item in value):
        yield here, f"must be a list of {COST} and {TIMEOUTS}"
        return
    if COST in value and "cost" not in extras:
        yield from _cost_faults(model, gateway_type, extras)
    if TIMEOUTS in value and not _timeouts(model):
        keys = " or ".join(f"{key} ({meaning})" for key, meaning in _LIMITS.items())
        yield here, f"asks for timeouts, and metadata.timeouts has neither {keys} as a whole number from 1 up"


def _cost_faults(
    model: Model, gateway_type: str | None, extras: Mapping[str, Any]
) -> Iterator[tuple[tuple[str, ...], str]]:
    here = ("tensorzero", FROM_METADATA)
    if not _knows_usage(gateway_type, extras):
        yield (
            here,
            "asks for cost, and this provider does not report usage as OpenAI does; write tensorzero.provider.cost",
        )
    for key in PRICES:
        if model.card.get(key) is None and model.metadata.get(key) is not None and _price(model.metadata[key]) is None:
            yield ("metadata", key), "must be a number from 0 up: it becomes the gateway's cost"
    if not _prices(model):
        yield here, f"asks for cost, and the model has no {' or '.join(PRICES)}"


def _asked(model: Model) -> list[Any]:
    value = model.tensorzero.get(FROM_METADATA)
    return value if isinstance(value, list) else []


def _knows_usage(gateway_type: str | None, extras: Mapping[str, Any]) -> bool:
    kind = GATEWAY_TYPES.get(gateway_type or "")
    return kind is not None and kind.openai_usage and extras.get("api_type") != "responses"


def _prices(model: Model) -> dict[str, float]:
    # Embeddings have no output to pay for.
    keys = list(PRICES) if model.model_type in ROUTED_TYPES else list(PRICES)[:1]
    # Rows from before model cards may have prices in their metadata.
    prices = {key: model.card.get(key, model.metadata.get(key)) for key in keys}
    return {key: price for key in keys if (price := _price(prices[key])) is not None}


def _price(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0 else None


def _timeouts(model: Model) -> Table:
    given = model.metadata.get("timeouts")
    limits = {key: given[key] for key in _LIMITS if _is_limit(given.get(key))} if isinstance(given, dict) else {}
    if model.model_type not in ROUTED_TYPES:
        return {"timeout_ms": limits["total_ms"]} if "total_ms" in limits else {}
    table: Table = {}
    if "total_ms" in limits:
        table["non_streaming"] = {"total_ms": limits["total_ms"]}
    if limits:
        table["streaming"] = limits
    return {"timeouts": table} if table else {}


def _is_limit(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
