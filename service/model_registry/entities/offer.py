"""An offer: a model at a provider, with facts from a source outside the registry."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from model_registry.entities.base import Draft


class Offer(Draft):
    """One model from an importer. Loosely typed, so that one bad offer is skipped and the rest imported."""

    provider: str | None = Field(
        None,
        description="The provider's name. Null: every provider that has the model; nothing is created then.",
        examples=["openai"],
    )
    provider_type: str | None = Field(None, description="The provider's type.", examples=["openai"])
    api_base: str | None = Field(None, description="The provider's base URL, where the source knows it.")
    model_id: str = Field(description="The provider's name of the model.", examples=["gpt-4o-mini"])
    name: str | None = Field(
        None, description="The name of a new row, and the target of other offers' `replaced_by`. Default: `model_id`."
    )
    fields: dict[str, Any] = Field(
        default={},
        description="Facts, by the model's field. Null: the source no longer knows it.",
        examples=[{"context_length": 128000, "cost_per_1m_input_tokens": 0.15}],
    )
    estimated: list[str] = Field(default=[], description="Fields whose values are estimates.")

    @property
    def called(self) -> str:
        """The name of a new row."""
        return self.name or self.model_id
