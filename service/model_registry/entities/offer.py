"""An offer: a model at a provider, with facts from a source outside the registry. Sources are read into offers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import Field

from model_registry.entities.base import Draft, json_problem


class Offer(Draft):
    """One model from an importer. Loosely typed, so that one bad offer is skipped and the rest imported."""

    provider: str | None = Field(
        None,
        description="The provider's name. Omitted: all providers that already have the model; nothing is created.",
        examples=["openai"],
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
    """The offers of a source, and its entries that are none."""

    offers: tuple[Offer, ...]
    passed_over: tuple[PassedOver, ...] = ()

    def sendable(self) -> SourceContent:
        """Pass over the offers that JSON cannot carry: one with NaN or a lone surrogate would stop all others."""
        offers, passed_over = [], list(self.passed_over)
        for offer in self.offers:
            if problem := json_problem(offer.model_dump()):
                passed_over.append(PassedOver(printed(offer.called), problem))
            else:
                offers.append(offer)
        return SourceContent(tuple(offers), tuple(passed_over))


def printed(name: str) -> str:
    """Return a name that every output takes."""
    return name.encode("utf-8", "replace").decode()
