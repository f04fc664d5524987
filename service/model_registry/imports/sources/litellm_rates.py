"""Reads the prices of an entry of LiteLLM's map; `gateways/litellm/model_info.py` writes them. Pure.

A key of the map is the name of what is charged, then a time to keep a cache, a length of the request and a service
tier: `cache_creation_input_token_cost_above_1hr_above_200k_tokens_batches`. Every key that contains `cost` is a price.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from decimal import Context, Decimal
from typing import Any, NamedTuple

from model_registry.entities.prices import PLAIN, STANDARD, Unit, plain_text
from model_registry.imports.sources.items import Unusable

_EXACT = Context(prec=99)
_MILLION = 6
_LARGEST = 10**9
_LONGEST = 60
"""Characters of a number: longer ones are no price."""


class Rate(NamedTuple):
    """One price."""

    of: str
    dollars: Decimal
    """For one."""
    tier: str = STANDARD
    above: int = 0
    variant: str | None = None
    name: str | None = None
    every_request: bool = False


UNITS: dict[str, Unit] = {
    "input_cost_per_token": "input_tokens",
    "output_cost_per_token": "output_tokens",
    "cache_read_input_token_cost": "cached_input_tokens",
    "explicit_cache_read_input_token_cost": "explicit_cached_input_tokens",
    "cache_read_input_audio_token_cost": "cached_audio_tokens",
    "cache_read_input_image_token_cost": "cached_image_tokens",
    "cache_creation_input_token_cost": "cache_write_tokens",
    "cache_creation_input_token_cost_above_1hr": "cache_write_1h_tokens",
    "cache_creation_input_token_cost_above_12hr": "cache_write_12h_tokens",
    "cache_creation_input_audio_token_cost": "cache_write_audio_tokens",
    "input_cost_per_audio_token": "input_audio_tokens",
    "input_cost_per_image_token": "input_image_tokens",
    "input_cost_per_video_token": "input_video_tokens",
    "output_cost_per_reasoning_token": "reasoning_tokens",
    "output_cost_per_audio_token": "output_audio_tokens",
    "output_cost_per_image_token": "output_image_tokens",
    "output_cost_per_video_token": "output_video_tokens",
    "citation_cost_per_token": "citation_tokens",
    "input_cost_per_request": "requests",
    "input_cost_per_query": "queries",
    "google_maps_grounding_cost_per_query": "maps_searches",
    "input_cost_per_text_message": "text_messages",
    "code_interpreter_cost_per_session": "code_sessions",
    "ocr_cost_per_page": "pages",
    "input_cost_per_image": "input_images",
    "output_cost_per_image": "output_images",
    "input_cost_per_pixel": "input_pixels",
    "output_cost_per_pixel": "output_pixels",
    "input_cost_per_character": "input_characters",
    "output_cost_per_character": "output_characters",
    "input_cost_per_audio_per_second": "audio_seconds",
    "input_cost_per_video_per_second": "input_video_seconds",
    "output_cost_per_video_per_second": "output_video_seconds",
}
"""The map's name of what is charged -> ours. Prices per second depend on the mode."""

_SYNONYMS = {"input_cost_per_token_cache_hit": "cache_read_input_token_cost"}

TIERS = {"batches": "batch"} | {t: t for t in ("flex", "balanced", "priority", "ultrafast", "decisions")}

_TIER = re.compile(rf"_({'|'.join(TIERS)})(?=$|_above_)")
_LENGTH = re.compile(r"_above_(\d+)(k?)_tokens")
_SIZE = re.compile(r"(.+_cost_per_(?:image|second))_(\d+(?:\.\d+)?[kKp]?)")

SECONDS: dict[str, dict[str, Unit]] = {
    "audio_transcription": {"input_cost_per_second": "audio_seconds", "output_cost_per_second": "audio_seconds"},
    "realtime": {"input_cost_per_second": "audio_seconds", "output_cost_per_second": "output_audio_seconds"},
    "audio_speech": {"output_cost_per_second": "output_audio_seconds", "input_cost_per_second": "running_seconds"},
}
_SOUND = ("input_cost_per_audio_token", "output_cost_per_audio_token")
_TRANSCRIBED = {
    False: (*_SOUND, "input_cost_per_token"),
    True: (*_SOUND, "input_cost_per_token", "output_cost_per_second"),
}
"""Prices of the same as a price per second; True: as the one of the input."""
_RUNNING = ("cost_per_second", "input_cost_per_second", "output_cost_per_second")

_IGNORED = frozenset({"input_dbu_cost_per_token", "output_dbu_cost_per_token"})
"""Databricks' own currency; the same prices stand beside them in dollars."""

_FIREWORKS_CACHED = Decimal("0.5")

XAI = "xai"
"""Its longer requests begin at the number itself."""

SEARCHES = {
    "search_context_size_low": "web_searches_low",
    "search_context_size_medium": "web_searches_medium",
    "search_context_size_high": "web_searches_high",
}
FACTORS = {
    "regional_processing_uplift_multiplier_eu": "eu",
    "regional_processing_uplift_multiplier_us": "us",
    "fedramp_uplift_multiplier": "fedramp",
    "regional_endpoint_uplift_multiplier": "regional_endpoint",
}
_TERM = re.compile(r"[a-z]{2}|fast")
"""Of `provider_specific_entry`: where a request is served, and how quickly. Its other keys are no factors."""


def dollars(value: object, key: str) -> Decimal | None:
    """Read a price: a number, or its text. None: unknown, as -1 is, which depends on the request. Errors: Unusable."""
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        return None
    try:
        # The text of a large integer would itself be an error.
        number = Decimal(value) if isinstance(value, int) else Decimal(str(value)[: _LONGEST + 1].strip())
    except ArithmeticError:
        return None
    if not number.is_finite() or number > _LARGEST or len(str(number)) > _LONGEST or _is_extreme(number):
        message = f"{key} is not a number of dollars: {str(number)[:30]}"
        raise Unusable(message)
    return number if number >= 0 else None


def _is_extreme(number: Decimal) -> bool:
    """Whether a number has an exponent with which its digits, written out, would fill the memory: `1e-99999999`."""
    exponent = number.as_tuple().exponent
    return isinstance(exponent, int) and abs(exponent) > _LONGEST


def rates(entry: Mapping[str, Any], litellm_provider: str, model: str) -> list[Rate]:
    """Read all prices of an entry. Errors: Unusable."""
    found: dict[tuple[str, str, int, str | None, str | None], Rate] = {}
    for rate in _all(entry, litellm_provider, model):
        found.setdefault((rate.of, rate.tier, rate.above, rate.variant, rate.name), rate)
    return list(found.values())


def _all(entry: Mapping[str, Any], provider: str, model: str) -> Iterator[Rate]:
    # LiteLLM takes the prices of `tiered_pricing` where it has any.
    yield from _by_range(entry)
    mode = entry.get("mode")
    keys = [key for key in entry if "cost" in key and key not in _IGNORED]
    for key in sorted(keys, key=lambda key: (key in _SYNONYMS, key)):
        if key == "search_context_cost_per_query":
            yield from _searches(entry[key], every_request=provider == "perplexity" or "-search-" in model)
        elif isinstance(entry[key], Mapping):
            yield Rate("other", Decimal(0), name=key)
        elif (price := dollars(entry[key], key)) is not None:
            yield from _rate(key, price, str(mode), entry, provider)
    if provider == "fireworks_ai" and (price := dollars(entry.get("input_cost_per_token"), "input_cost_per_token")):
        # LiteLLM's rule, and Fireworks' own for models without a price for them.
        yield Rate("cached_input_tokens", _EXACT.multiply(price, _FIREWORKS_CACHED))
    off_peak = entry.get("off_peak_pricing")
    if isinstance(off_peak, Mapping):
        for key, unit in UNITS.items():
            if (price := dollars(off_peak.get(key), f"off_peak_pricing.{key}")) is not None:
                yield Rate(unit, price, "off_peak")


def _rate(key: str, price: Decimal, mode: str, entry: Mapping[str, Any], provider: str) -> Iterator[Rate]:
    name, above, variant = _SYNONYMS.get(key, key), 0, None
    tier: str = STANDARD
    if match := _TIER.search(name):
        name, tier = name[: match.start()] + name[match.end() :], TIERS[match[1]]
    if match := _LENGTH.search(name):
        name, above = name[: match.start()] + name[match.end() :], int(match[1]) * (1000 if match[2] else 1)
        above -= provider == XAI
    if match := _SIZE.fullmatch(name):
        name, variant = match[1], match[2]
    unit = _unit(name, mode, entry)
    if unit is not None:
        yield Rate(unit, price, tier, above, variant)
    elif price:
        yield Rate("other", price, name=key)


def _unit(name: str, mode: str, entry: Mapping[str, Any]) -> str | None:
    if name in _RUNNING:
        same = _TRANSCRIBED[name == "input_cost_per_second"] if mode == "audio_transcription" else _SOUND
        if mode in SECONDS and any(entry.get(key) for key in same):
            # The same price, for those who count otherwise.
            return None
        return SECONDS.get(mode, {}).get(name, "running_seconds" if mode != "video_generation" else None)
    if mode.startswith("image_") and not entry.get(name.replace("input", "output", 1)):
        # What a picture costs stands under either name.
        name = {
            "input_cost_per_image": "output_cost_per_image",
            "input_cost_per_pixel": "output_cost_per_pixel",
        }.get(name, name)
    return UNITS.get(name)


def _searches(prices: object, *, every_request: bool) -> Iterator[Rate]:
    each = prices if isinstance(prices, Mapping) else dict.fromkeys(SEARCHES, prices)
    for key, unit in SEARCHES.items():
        if (price := dollars(each.get(key), key)) is not None:
            yield Rate(unit, price, every_request=every_request)


def _by_range(entry: Mapping[str, Any]) -> Iterator[Rate]:
    tiers = entry.get("tiered_pricing")
    for tier in tiers if isinstance(tiers, list) else ():
        bounds = tier.get("range") if isinstance(tier, Mapping) else None
        start = dollars(bounds[0], "tiered_pricing.range") if isinstance(bounds, list) and bounds else None
        if start is None:
            continue
        for key, unit in UNITS.items():
            if (price := dollars(tier.get(key), f"tiered_pricing.{key}")) is not None:
                yield Rate(unit, price, above=int(start))


def factors(entry: Mapping[str, Any]) -> dict[str, str]:
    """Read the factors by which a region or a term raises all prices of tokens. Errors: Unusable."""
    given = {ours: entry.get(theirs) for theirs, ours in FACTORS.items()}
    more = entry.get("provider_specific_entry")
    given |= {str(n): f for n, f in more.items() if _TERM.fullmatch(str(n))} if isinstance(more, Mapping) else {}
    read = {name: dollars(factor, name) for name, factor in given.items()}
    return {name: plain_text(factor) for name, factor in read.items() if factor}


def facts(found: Iterable[Rate], factor: Mapping[str, str]) -> dict[str, Any]:
    """Return the fields of a card: every one that a price can set."""
    fields: dict[str, Any] = dict.fromkeys(PLAIN.values())
    further = []
    for rate in found:
        plain = PLAIN.get(rate.of)  # type: ignore[call-overload] # `other` has none
        if plain and (rate.tier, rate.above, rate.variant) == (STANDARD, 0, None):
            fields[plain] = float(_EXACT.scaleb(rate.dollars, _MILLION))
        else:
            further.append(_further(rate))
    return fields | {"further_prices": further or None, "price_factors": dict(factor) or None}


def _further(rate: Rate) -> dict[str, Any]:
    by_million = rate.of.endswith(("_tokens", "_characters", "_pixels"))
    price = _EXACT.scaleb(rate.dollars, _MILLION) if by_million else rate.dollars
    entry: dict[str, Any] = {"of": rate.of}
    if rate.name:
        entry["name"] = rate.name
    if rate.of != "other" or rate.dollars:
        entry["per_million" if by_million else "per_unit"] = plain_text(price)
    if rate.tier != STANDARD:
        entry["tier"] = rate.tier
    if rate.above:
        entry["above_input_tokens"] = rate.above
    if rate.variant:
        entry["variant"] = rate.variant
    if rate.every_request:
        entry["every_request"] = True
    return entry
