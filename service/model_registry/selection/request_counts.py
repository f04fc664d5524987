"""What one request consists of: the counts of everything that a model may charge for, and the terms it is made on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated

from pydantic import Field, ValidationInfo, field_validator

from model_registry.entities.base import ShortName
from model_registry.entities.numbers import StrictNumbers
from model_registry.entities.prices import INPUT_PARTS, OUTPUT_PARTS, PLAIN, STANDARD, UNITS, Tier, Unit

_MOST = 10**12
_SECOND_PLACES = 6

_WHOLES: Mapping[Unit, tuple[Unit, ...]] = {"input_tokens": INPUT_PARTS, "output_tokens": OUTPUT_PARTS}
"""Count -> the counts that are part of it."""
_PLAIN: frozenset[Unit] = frozenset({*PLAIN, "requests"})
_FURTHER = tuple(unit for unit in UNITS if unit != "requests" and unit not in PLAIN)

Count = Annotated[int, Field(ge=0, le=_MOST)]
Seconds = Annotated[Decimal, Field(ge=0, le=_MOST, max_digits=20, decimal_places=_SECOND_PLACES)]


@dataclass(frozen=True, slots=True)
class Counted:
    """A request as thousands of models read it."""

    stated: Mapping[Unit, int | Decimal]
    """The counts that the request gives, zeros included."""
    charged: Mapping[Unit, int | Decimal]
    """The counts above 0, each token in one of them only, and the request itself."""
    input_tokens: int
    service_tier: Tier
    variant: str | None

    @property
    def plain(self) -> bool:
        """Whether it is a request of text, on the usual terms."""
        return self.service_tier == STANDARD and self.variant is None and self.charged.keys() <= _PLAIN


class Counts(StrictNumbers):
    """Whatever a model may charge for beside plain tokens. What is left out is 0."""

    explicit_cached_input_tokens: Count | None = Field(None, description="Read from a cache that the request names.")
    cached_audio_tokens: Count | None = None
    cached_image_tokens: Count | None = None
    cache_write_tokens: Count | None = Field(None, description="Input tokens that are written to the cache.")
    cache_write_1h_tokens: Count | None = Field(None, description="The same, to be kept for an hour.")
    cache_write_12h_tokens: Count | None = Field(None, description="The same, to be kept for twelve hours.")
    cache_write_audio_tokens: Count | None = None
    input_audio_tokens: Count | None = None
    input_image_tokens: Count | None = None
    input_video_tokens: Count | None = None
    reasoning_tokens: Count | None = Field(None, description="Output tokens that the model thinks with.")
    output_audio_tokens: Count | None = None
    output_image_tokens: Count | None = None
    output_video_tokens: Count | None = None
    citation_tokens: Count | None = None
    queries: Count | None = Field(None, description="Search units of a reranker, queries of a search.")
    web_searches_low: Count | None = Field(None, description="Searches with a small context.")
    web_searches_medium: Count | None = Field(None, description="Searches with the usual context.")
    web_searches_high: Count | None = Field(None, description="Searches with a large context.")
    maps_searches: Count | None = None
    text_messages: Count | None = None
    code_sessions: Count | None = None
    pages: Count | None = None
    input_images: Count | None = None
    output_images: Count | None = None
    input_pixels: Count | None = None
    output_pixels: Count | None = None
    input_characters: Count | None = None
    output_characters: Count | None = None
    audio_seconds: Seconds | None = Field(None, description="Length of the audio that is sent.")
    input_video_seconds: Seconds | None = None
    output_audio_seconds: Seconds | None = None
    output_video_seconds: Seconds | None = None
    running_seconds: Seconds | None = Field(None, description="Time that the provider's machines work on the request.")


class TokenCounts(StrictNumbers):
    """One request: its tokens, what else it has, and its terms."""

    input_tokens: Count = Field(1000, description="All input tokens, with cached and written ones, of every medium.")
    output_tokens: Count = Field(1000, description="All output tokens, with those of reasoning, of every medium.")
    cached_input_tokens: Count = Field(
        0,
        description="Input tokens read from the provider's cache; charged at the input price where the model has "
        "none for them.",
    )
    counts: Counts = Field(
        Counts(),
        description="What else is charged. Left out counts as 0, except where a model cannot be asked without it.",
        examples=[{"reasoning_tokens": 300}],
    )
    service_tier: Tier = Field(STANDARD, description="The provider's terms for the request.")
    variant: ShortName | None = Field(
        None, description="Region, size or quality, as the model's `further_prices` and `price_factors` name it."
    )

    @field_validator("cached_input_tokens", "counts")
    @classmethod
    def _within(cls, value: int | Counts, others: ValidationInfo) -> int | Counts:
        for whole, parts in _WHOLES.items():
            given = {part: count for part in parts if (count := getattr(value, part, 0))}
            if isinstance(value, int):
                given = {"cached_input_tokens": value} if whole == "input_tokens" else {}
            elif whole == "input_tokens" and (cached := others.data.get("cached_input_tokens")):
                given["cached_input_tokens"] = cached
            most = others.data.get(whole)
            if most is not None and sum(given.values()) > most:
                message = f"must not be more than {whole} ({most}): {' + '.join(given)}"
                raise ValueError(message)
        return value

    def stated(self) -> dict[Unit, int | Decimal]:
        """Return the counts that the request gives, zeros included."""
        plain: dict[Unit, int | Decimal] = {
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "cached_input_tokens": self.cached_input_tokens,
        }
        return plain | {unit: value for unit in _FURTHER if (value := getattr(self.counts, unit)) is not None}

    def charged(self) -> dict[Unit, int | Decimal]:
        """Return the counts above 0, each token in one of them only, and the request itself."""
        counts = self.stated()
        for whole, parts in _WHOLES.items():
            counts[whole] -= sum(int(counts.get(part, 0)) for part in parts)
        return {unit: count for unit, count in counts.items() if count} | {"requests": 1}

    def counted(self) -> Counted:
        """Return the counts for a computation."""
        return Counted(self.stated(), self.charged(), self.input_tokens, self.service_tier, self.variant)

    @property
    def key(self) -> tuple[object, ...]:
        """What the costs depend on, for caches."""
        return (*self.stated().items(), self.service_tier, self.variant)
