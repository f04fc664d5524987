"""An offer: a model at a provider, with facts about it, as somebody outside the registry tells of it."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from model_registry.entities.base import Draft


class Offer(Draft):
    """What an importer brings. Loose on purpose: a bad offer is skipped with the reason, and the others go in."""

    provider: str | None = Field(
        None,
        description="The provider's name. None: whoever has the model already; nothing is created then.",
        examples=["openai"],
    )
    provider_type: str | None = Field(None, description="The provider's type.", examples=["openai"])
    api_base: str | None = Field(None, description="The provider's base URL, where the source knows it.")
    model_id: str = Field(description="What the provider calls the model.", examples=["gpt-4o-mini"])
    name: str | None = Field(
        None, description="What a new row is called, and what `replaced_by` of other offers names. Default: `model_id`."
    )
    fields: dict[str, Any] = Field(
        default={},
        description="Facts, by the model's field. null: the source knows nothing of it any more.",
        examples=[{"context_length": 128000, "cost_per_1m_input_tokens": 0.15}],
    )
    estimated: list[str] = Field(default=[], description="Which of the fields are worked out and not told.")

    @property
    def called(self) -> str:
        """The name of a new row."""
        return self.name or self.model_id
