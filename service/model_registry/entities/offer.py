"""An offer: a model at a provider, with facts from a source outside the registry. Sources are read into offers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from pydantic import Field

from model_registry.entities.base import Draft, ShortName, Text

ESTIMATE = " (estimate)"
"""End of the source of a field that an importer estimated, in `field_sources`."""


class Offer(Draft):
    """One model from an importer. Loosely typed, so that one bad offer is skipped and the rest imported."""

    provider: str | None = Field(
        None,
        description="The provider's name. Omitted: all providers that already have the model; nothing is created.",
        examples=["openai"],
    )
    provider_suggested: bool = Field(
        default=False,
        description="Whether `provider` only suggests the name of a new provider, which gets a longer one where "
        "another address has it. Otherwise a name that has another address is refused.",
    )
    provider_type: str | None = Field(None, description="The provider's type.", examples=["openai"])
    api_base: str | None = Field(None, description="The provider's base URL, if known to the source.")
    model_id: str = Field(description="The provider's name for the model.", examples=["gpt-4o-mini"])
    name: str | None = Field(
        None, description="Name of a new row, and the name used in `replaced_by` of other offers. Default: `model_id`."
    )
    fields: dict[str, Any] = Field(
        default={},
        description="Facts by field of the model. null: the source no longer has a value.",
        examples=[{"context_length": 128000, "cost_per_1m_input_tokens": 0.15}],
    )
    estimated: list[str] = Field(default=[], description="Fields that are estimated rather than given by the source.")
    left_out: dict[ShortName, Text] = Field(
        default={},
        max_length=50,
        description="Field -> why the source has no value for it. A value that this source gave earlier is cleared.",
        examples=[{"requirements": "the repository states two different sizes"}],
    )

    @property
    def called(self) -> str:
        """The name of a new row."""
        return self.name or self.model_id


@dataclass(frozen=True, slots=True)
class PassedOver:
    """An entry that is no offer, and the reason."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class SourceContent:
    """The offers of a source, its entries that are none, and those that could not be read."""

    offers: tuple[Offer, ...]
    passed_over: tuple[PassedOver, ...] = ()
    unread: tuple[PassedOver, ...] = ()
    """An import that has some is incomplete."""

    @classmethod
    def joined(cls, contents: Iterable[SourceContent]) -> SourceContent:
        """All of several."""
        several = tuple(contents)
        return cls(
            tuple(offer for one in several for offer in one.offers),
            tuple(passed for one in several for passed in one.passed_over),
            tuple(unread for one in several for unread in one.unread),
        )

    def with_offers(self, **changes: Any) -> SourceContent:  # noqa: ANN401 (fields of an offer)
        """The same, with other values of some fields of every offer."""
        return replace(self, offers=tuple(offer.model_copy(update=changes) for offer in self.offers))

    def with_unread(self, unread: Iterable[PassedOver]) -> SourceContent:
        """The same, and what could not be fetched; that is no longer passed over for another reason."""
        more = tuple(unread)
        names = {one.name for one in more}
        passed_over = tuple(one for one in self.passed_over if one.name not in names)
        return SourceContent(self.offers, passed_over, self.unread + more)
