"""An offer: a model at a provider, with facts from a source outside the registry. Sources are read into offers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import Field

from model_registry.entities.base import Draft


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
