"""What a model charges for beside plain input and output tokens, and under which conditions.

The names of what is charged are a public contract: they are also the counts that `/api/costs/estimate` takes. What a
request costs is computed in `selection/price_sheet.py`.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, Field, PlainSerializer, WithJsonSchema, model_validator

from model_registry.entities.base import MAX_INT32, Draft, ShortName

Unit = Literal[
    "input_tokens",
    "cached_input_tokens",
    "explicit_cached_input_tokens",
    "cached_audio_tokens",
    "cached_image_tokens",
    "cache_write_tokens",
    "cache_write_1h_tokens",
    "cache_write_12h_tokens",
    "cache_write_audio_tokens",
    "input_audio_tokens",
    "input_image_tokens",
    "input_video_tokens",
    "output_tokens",
    "reasoning_tokens",
    "output_audio_tokens",
    "output_image_tokens",
    "output_video_tokens",
    "citation_tokens",
    "requests",
    "queries",
    "web_searches_low",
    "web_searches_medium",
    "web_searches_high",
    "maps_searches",
    "text_messages",
    "code_sessions",
    "pages",
    "input_images",
    "output_images",
    "input_pixels",
    "output_pixels",
    "input_characters",
    "output_characters",
    "audio_seconds",
    "input_video_seconds",
    "output_audio_seconds",
    "output_video_seconds",
    "running_seconds",
]
"""What a model can charge for."""

UNITS: tuple[Unit, ...] = get_args(Unit)

INSTEAD: dict[Unit, Unit] = {
    "cached_input_tokens": "input_tokens",
    "explicit_cached_input_tokens": "cached_input_tokens",
    "cached_audio_tokens": "cached_input_tokens",
    "cached_image_tokens": "cached_input_tokens",
    "cache_write_tokens": "input_tokens",
    "cache_write_1h_tokens": "cache_write_tokens",
    "cache_write_12h_tokens": "cache_write_tokens",
    "cache_write_audio_tokens": "cache_write_tokens",
    "input_audio_tokens": "input_tokens",
    "input_image_tokens": "input_tokens",
    "input_video_tokens": "input_tokens",
    "reasoning_tokens": "output_tokens",
    "output_audio_tokens": "output_tokens",
    "output_image_tokens": "output_tokens",
    "output_video_tokens": "output_tokens",
}
"""Unit -> the unit whose price it has where a model has none of its own. These tokens are part of that count too."""

INPUT_PARTS = tuple(unit for unit in INSTEAD if not unit.startswith(("output", "reasoning")))
OUTPUT_PARTS = tuple(unit for unit in INSTEAD if unit.startswith(("output", "reasoning")))

PLAIN: dict[Unit, str] = {
    "input_tokens": "cost_per_1m_input_tokens",
    "output_tokens": "cost_per_1m_output_tokens",
    "cached_input_tokens": "cost_per_1m_cached_input_tokens",
}
"""Units whose price without any condition is a field of its own of the card."""

Tier = Literal["standard", "batch", "flex", "balanced", "priority", "ultrafast", "off_peak", "decisions"]
"""Terms on which a provider serves a request. `off_peak`: in the hours in which it charges less."""

STANDARD: Tier = "standard"

_MOST = 10**12
_DIGITS = 60
_PLACES = 30
MOST_PRICES = 600
"""Of one model. LiteLLM's map has up to a few hundred: a region, a size and a quality each have their own."""


def plain_text(value: Decimal) -> str:
    """Write a decimal without an exponent and without needless zeros: equal numbers are equal texts."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


Dollars = Annotated[
    Decimal,
    Field(ge=0, le=_MOST, max_digits=_DIGITS, decimal_places=_PLACES),
    PlainSerializer(plain_text, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "examples": ["0.3"]}),
]
"""US dollars, exact: a number or its text; kept as text."""


class FurtherPrice(Draft):
    """One price beside the plain ones."""

    of: Unit | Literal["other"] = Field(
        description="What is charged; `other`: something that cannot be counted here.", examples=["input_tokens"]
    )
    name: ShortName | None = Field(None, description="What `other` is.", examples=["code_interpreter"])
    per_million: Dollars | None = Field(None, description="US dollars for a million of it.", examples=["0.3"])
    per_unit: Dollars | None = Field(None, description="US dollars for one, instead of for a million.")
    tier: Tier = Field(STANDARD, description="The service tier in which the price holds.")
    above_input_tokens: Annotated[int, Field(ge=0, le=MAX_INT32)] = Field(
        0,
        description="The price holds for requests with more input tokens than this (cached ones count), up to the next "
        "higher number that the model has a price for, and for the whole request.",
        examples=[200_000],
    )
    variant: ShortName | None = Field(
        None,
        description="Region, size or quality for which the price holds; null: where a request names none.",
        examples=["high/1024-x-1024"],
    )

    every_request: bool = Field(
        default=False, description="Whether every request has some of it: then an estimate wants to know how much."
    )

    @model_validator(mode="after")
    def _one_price(self) -> FurtherPrice:
        if (self.of == "other") != (self.name is not None):
            message = "name says what `other` is, and belongs to no other price"
            raise ValueError(message)
        if (self.per_million is None) == (self.per_unit is None) and self.of != "other":
            message = "must have per_million or per_unit, and not both"
            raise ValueError(message)
        plain = None if self.of == "other" else PLAIN.get(self.of)
        if plain and self.tier == STANDARD and not self.above_input_tokens and self.variant is None:
            message = f"this price holds without any condition: set {plain} instead"
            raise ValueError(message)
        return self


def _distinct(prices: list[FurtherPrice]) -> list[FurtherPrice]:
    seen = set()
    for price in prices:
        terms = (price.of, price.name, price.tier, price.above_input_tokens, price.variant)
        if terms in seen:
            message = f"has two prices of {price.name or price.of} on the same terms"
            raise ValueError(message)
        seen.add(terms)
    return prices


FurtherPrices = Annotated[list[FurtherPrice], Field(max_length=MOST_PRICES), AfterValidator(_distinct)]

Factor = Annotated[
    Decimal,
    Field(gt=0, le=1000, max_digits=20, decimal_places=15),
    PlainSerializer(plain_text, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "examples": ["1.1"]}),
]
"""A factor of prices: 1.1 is ten percent more."""
