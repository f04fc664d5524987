"""Reads LiteLLM's price map: prices and abilities of thousands of hosted models. LiteLLM itself is not imported.

Importing it would take seconds and fetch a newer map from its repository. Field names are the map's `sample_spec`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from typing import Any, NamedTuple

from model_registry.entities.model import USUAL_CATEGORIES
from model_registry.entities.offer import Offer, PassedOver, SourceContent
from model_registry.entities.prices import MOST_PRICES
from model_registry.entities.provider_types import PROVIDER_TYPES
from model_registry.imports.sources.items import Unusable, make_offer
from model_registry.imports.sources.litellm_rates import Rate, factors, facts, rates


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


SOURCE = "litellm"

Entry = Mapping[str, Any]

MODES = {
    "chat": "chat",
    "responses": "chat",
    "completion": "chat",
    "embedding": "embedding",
    "rerank": "reranker",
    "image_generation": "image",
    "image_edit": "image",
    "audio_speech": "tts",
    "audio_transcription": "audio",
    "realtime": "audio",
}
"""LiteLLM's mode -> our model type. Other modes (video, search, OCR, moderation, ...) are not catalogued."""

_BASE_TAGS = {
    "chat": ("chat", "streaming"),
    "completion": ("completion", "streaming"),
    "responses": ("chat", "streaming"),
    "embedding": ("embeddings",),
    "rerank": ("reranking",),
    "image_generation": ("image_generation",),
    "image_edit": ("image_edit",),
    "audio_speech": ("tts",),
    "audio_transcription": ("transcription",),
    "realtime": ("realtime", "streaming"),
}
_FLAG_TAGS = {
    "supports_function_calling": ("tool_use",),
    "supports_parallel_function_calling": ("parallel_tool_use",),
    "supports_vision": ("vision",),
    "supports_response_schema": ("json_mode", "structured_outputs"),
    "supports_native_structured_output": ("json_mode", "structured_outputs"),
    "supports_reasoning": ("reasoning",),
    "supports_prompt_caching": ("prompt_caching",),
    "supports_pdf_input": ("pdf_input",),
    "supports_audio_input": ("audio_input",),
    "supports_audio_output": ("audio_output",),
    "supports_video_input": ("video_input",),
    "supports_web_search": ("web_search",),
    "supports_computer_use": ("computer_use",),
}
_VARIANT = re.compile(
    r"\*|eu|us|us-gov|apac|latam|emea|au|jp|uk|ca|kr|global|global-standard|data-zone|[a-z]{2}(-[a-z]+)+-\d|\d+-month-commitment"
    r"|[a-z]*(central|east|west|north|south)[a-z]*\d?"
    r"|(us|europe|asia|australia|me|northamerica|southamerica|africa)-[a-z]+\d+|(\d+|max)-x-(\d+|max)|hd|standard|premium|minimal|low|medium|high|xhigh|ultra|max|auto|(\d+|max)-steps|invoke"
)
"""Prefixes of a model in the map where its price depends on more: region, term, size, quality."""

_PRICE_CLASS = re.compile(
    r"(together-ai|fireworks-ai|[a-z-]+)-(embedding-|moe-)?(up-to-|above-|default$|[\d.]+[bm]-(to-)?[\d.]+[bm]$)([\d.]+[bm])?"
)
"""Keys for all models of a size, whose names the map does not have: `together-ai-41.1b-80b`."""


def is_price_map(document: object) -> bool:
    """Whether this looks like a price map: some entry names one of LiteLLM's providers."""
    entries = document.values() if isinstance(document, Mapping) else ()
    return any(isinstance(entry, Mapping) and "litellm_provider" in entry for entry in entries)


def read_prices(document: object, today: date) -> SourceContent:
    """Read the offers of a price map. Models deprecated by `today` get that status."""
    if not isinstance(document, Mapping):
        return SourceContent((), (PassedOver("", "is not a price map: not an object of models"),))
    offers: dict[tuple[str | None, str | None, str], _Offered] = {}
    plain: dict[str, str] = {}
    passed_over: list[PassedOver] = []
    unread: list[PassedOver] = []
    # A model's plain price is the one without a region or size before it.
    for key, entry, variant, model_id in sorted(_entries(document), key=lambda e: e[0].count("/") - e[3].count("/")):
        if reason := _no_model(key, entry):
            passed_over.append(PassedOver(key, reason))
            continue
        made = make_offer(key, partial(_offer, key, entry, model_id, today))
        unread += made.unread
        if not made.offers:
            continue
        (offer,) = made.offers
        offered = offers.setdefault((offer.provider, offer.provider_type, offer.model_id), _Offered(offer))
        offered.prices.append((variant, rates(entry, entry["litellm_provider"], model_id)))
        if offered.offer is not offer:
            passed_over.append(PassedOver(key, f"another price of {offered.offer.name}"))
        plain[key] = str(offered.offer.name)
    made_offers = tuple(_succeeded(offered.priced(), plain) for offered in offers.values())
    return SourceContent(made_offers, tuple(passed_over), tuple(unread))


@dataclass(slots=True)
class _Offered:
    """A model, and its prices by region, size or quality; the first are the plain ones, if there are any."""

    offer: Offer
    prices: list[tuple[str, list[Rate]]] = field(default_factory=list)

    def priced(self) -> Offer:
        _, usual = self.prices[0]
        every = [prices for variant, prices in self.prices if variant]
        # Without a plain entry, what all of them say holds.
        found = [] if self.prices[0][0] and any(prices != usual for prices in every) else list(usual)
        found += [
            rate._replace(variant=variant)
            for variant, prices in self.prices
            for rate in prices
            if variant and rate.variant is None
        ]
        distinct = {(r.of, r.name, r.tier, r.above, r.variant): r for r in reversed(found)}
        kept = list(reversed(distinct.values()))[:MOST_PRICES]
        return self.offer.model_copy(
            update={"fields": self.offer.fields | facts(kept, self.offer.fields["price_factors"] or {})}
        )


def _succeeded(offer: Offer, plain: Mapping[str, str]) -> Offer:
    """Name the offer's successor as it is offered, and not by a region's price of it."""
    successor = plain.get(offer.fields["replaced_by"] or "")
    return offer.model_copy(update={"fields": offer.fields | {"replaced_by": successor}}) if successor else offer


def _entries(document: Mapping[str, Any]) -> Iterator[tuple[str, Entry, str, str]]:
    """Yield key, entry, region, size or quality, and the provider's name of the model."""
    for key, entry in document.items():
        known = entry if isinstance(entry, Mapping) else {}
        yield key, known, *_parted(str(known.get("litellm_provider", "")), key)


def _parted(litellm_provider: str, key: str) -> tuple[str, str]:
    """Take a key apart: region, size or quality (`high/1024-x-1024`), and the provider's name of the model."""
    rest, variant = split_key(litellm_provider, key), []
    while (parts := rest.partition("/"))[1] and _VARIANT.fullmatch(parts[0]):
        variant.append(parts[0])
        rest = parts[2]
    # Sizes stand before the provider too: `1024-x-1024/50-steps/bedrock/amazon.nova-canvas-v1:0`.
    return "/".join(variant), split_key(litellm_provider, rest) if variant else rest


def _no_model(key: str, entry: Entry) -> str | None:
    """Return why an entry is no offer, or None."""
    if key == "sample_spec":
        return "describes the map's format"
    if _PRICE_CLASS.fullmatch(key):
        return "a price of all models of a size, and no model"
    if key.endswith("*"):
        return "a pattern of names, and no model"
    if alias_of := entry.get("alias_of"):
        return f"LiteLLM's own name for {alias_of}"
    if not isinstance(entry.get("litellm_provider"), str):
        return "names no provider"
    mode = entry.get("mode")
    return None if isinstance(mode, str) and mode in MODES else f"no kind of model that is catalogued: mode {mode}"


def _offer(key: str, entry: Entry, model_id: str, today: date) -> Offer:
    provider = namesake(entry["litellm_provider"], model_id)
    return Offer(
        # The map does not know which servers have a model; the offer goes to all that do.
        provider=None if provider.type == "ollama" else provider.name,
        provider_type=provider.type,
        model_id=model_id,
        name=key,
        fields=_facts(entry, today) | facts(rates(entry, entry["litellm_provider"], model_id), factors(entry)),
    )


def _facts(entry: Entry, today: date) -> dict[str, Any]:
    """Return every field that the map can set, so that facts it has dropped are removed."""
    model_type = MODES[entry["mode"]]
    tags = _tags(entry)
    category = None if entry["mode"] == "realtime" else USUAL_CATEGORIES[model_type]
    until = _date(entry.get("deprecation_date"))
    source = entry.get("source")
    return {
        "model_type": model_type,
        "status": "deprecated" if until is not None and until <= today.isoformat() else "active",
        "capabilities": tags,
        "category": "vision-vlm" if category == "text-llm" and "vision" in tags else category,
        "context_length": _count(entry.get("max_input_tokens")),
        "max_output_tokens": _count(entry.get("max_output_tokens")),
        "rate_limit_rpm": _count(entry.get("rpm")),
        "rate_limit_tpm": _count(entry.get("tpm")),
        "deprecated_on": until,
        "replaced_by": _text(entry.get("successor_model")),
        "urls": {"pricing": source} if isinstance(source, str) and re.match(r"https?://", source) else None,
    }


def _tags(entry: Entry) -> list[str]:
    tags = list(_BASE_TAGS[entry["mode"]])
    for flag, more in _FLAG_TAGS.items():
        if entry.get(flag) is True:
            tags += more
    if entry.get("supports_native_streaming") is False:
        tags.remove("streaming")
    return list(dict.fromkeys(tags))


def _count(number: object) -> object:
    """Return a number of tokens or requests. The map has some as 1000.0, and 0 for unknown. Errors: Unusable."""
    if isinstance(number, float) and not math.isfinite(number):
        message = f"has a limit that is no number: {number}"
        raise Unusable(message)
    return number or None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _date(value: object) -> str | None:
    """Read a date; some are written 2026-9-1."""
    try:
        return date(*map(int, value.split("-"))).isoformat() if isinstance(value, str) else None
    except (ValueError, TypeError, OverflowError):
        return None
