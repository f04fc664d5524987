"""Makes the row of an offer: what columns can say of it, and in `litellm` what they do not. Pure."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from model_registry.entities.model import Model
from model_registry.entities.model_card import HIGHEST_PRICE
from model_registry.entities.provider import Provider
from model_registry.gateways.litellm.config import Entry, Table, order_of
from model_registry.gateways.litellm.deployment import INFO, PARAMS, PLACEHOLDER, PREFIX, deployment
from model_registry.gateways.litellm.importing.offers import ImportedOffer
from model_registry.gateways.litellm.keys import is_no_key
from model_registry.gateways.litellm.model_info import FLAGS, PRICES
from model_registry.imports.sources.litellm_prices import MODES as TYPES
from model_registry.snapshot.difference import same

ORDER = "order"
_LONGEST = 2**31 - 1

_GUESSES = (
    (re.compile(r"embed|(^|[/_-])(bge|e5|gte)[-_]", re.IGNORECASE), "embedding"),
    (re.compile(r"rerank", re.IGNORECASE), "reranker"),
    (re.compile(r"whisper|transcribe", re.IGNORECASE), "audio"),
    (re.compile(r"(^|[/_-])tts([/_-]|$)", re.IGNORECASE), "tts"),
    (re.compile(r"dall-e|gpt-image|stable-diffusion|flux|imagen", re.IGNORECASE), "image"),
)
"""For entries that leave the mode to LiteLLM's price map."""


def type_of(entry: Entry) -> str | None:
    """Return the type of an entry's model; None: it is of a kind that the catalogue does not have."""
    mode = entry.info.get("mode")
    if mode is not None:
        return TYPES.get(mode) if isinstance(mode, str) else None
    return next((kind for pattern, kind in _GUESSES if pattern.search(entry.model)), "chat")


def facts_of(entry: Entry) -> tuple[Table, Table]:
    """Return the columns and the fields of the card that `model_info` states."""
    info = entry.info
    columns: Table = {}
    if _is_count(info.get("max_input_tokens")):
        columns["context_length"] = info["max_input_tokens"]
    if isinstance(info.get("description"), str):
        columns["description"] = info["description"]
    card: Table = {}
    if _is_count(info.get("max_output_tokens")):
        card["max_output_tokens"] = info["max_output_tokens"]
    for theirs, ours in PRICES.items():
        if (price := _per_million(info.get(theirs))) is not None:
            card[ours] = price
    return columns, card


def tags_of(entry: Entry) -> list[str]:
    """Return the capabilities that `model_info` states."""
    return [tag for tag, key in FLAGS.items() if entry.info.get(key) is True]


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= _LONGEST


def _per_million(value: object) -> float | None:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    price = float(Decimal(str(value)) * 1_000_000)
    return price if 0 <= price <= HIGHEST_PRICE else None


def column(offer: ImportedOffer, row: Model, provider: Provider) -> Table:
    """Return the column `litellm` with which this row makes exactly the offer's entry, but for its rank.

    Args:
        offer: the offer.
        row: its row as the import leaves it, whatever its column `litellm` is.
        provider: the row's provider.
    """
    own: Table = {}
    rendered = deployment(row.model_copy(update={"litellm": own}), provider)
    if rendered[PARAMS]["model"] != offer.entry.model or row.model_type == "reranker":
        # Rerankers need the name: what LiteLLM has for others of this type may not rerank.
        own = {PREFIX: offer.name.prefix}
        rendered = deployment(row.model_copy(update={"litellm": own}), provider)
    params = _beyond(_comparable(offer.entry.params), _comparable(rendered[PARAMS]))
    info = {key: value for key, value in offer.entry.info.items() if value is not None and key != ORDER}
    there = rendered[INFO]
    more = {key: value for key, value in info.items() if key not in there or not same(there[key], value)}
    if "mode" not in info and "mode" in there:
        more["mode"] = None  # LiteLLM's price map knows it
    parts = {PARAMS: params, INFO: more}
    rest = {key: value for key, value in offer.entry.rest.items() if value is not None}
    return own | {key: part for key, part in parts.items() if part} | rest


def _comparable(params: Table) -> Table:
    kept = {key: value for key, value in params.items() if value is not None and key != ORDER}
    return kept | ({"api_key": PLACEHOLDER} if is_no_key(kept.get("api_key")) else {})


def _beyond(wanted: Table, there: Table) -> dict[str, Any]:
    more = {key: value for key, value in wanted.items() if key not in there or not same(there[key], value)}
    return more | {key: None for key in there if key not in wanted}


def rank_of(entry: Entry) -> int | None:
    """Return an entry's `order`, or None."""
    value = entry.params.get(ORDER)
    return order_of(entry.info.get(ORDER) if value is None else value)


def ranks_of(entries: list[Entry], old: list[Model | None]) -> list[int]:
    """Return the priority of each entry: 0 where all are alike, and the rows' own where these mean the same."""
    orders = [rank_of(entry) for entry in entries]
    given = sorted({order for order in orders if order is not None})
    ranks = [given.index(order) if order is not None else len(given) for order in orders]
    if len(set(ranks)) == 1:
        ranks = [0] * len(ranks)
    before = [row.routing_priority for row in old if row is not None]
    if len(before) == len(ranks) and [sorted(set(before)).index(rank) for rank in before] == ranks:
        return before
    return ranks
