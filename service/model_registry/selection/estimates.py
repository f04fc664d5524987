"""What so many requests cost at several models, side by side."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from model_registry.catalog.views import ModelLabel, View, model_label_view
from model_registry.entities.base import FewFields, LongName
from model_registry.selection.costs import (
    CURRENCY,
    Amount,
    TokenCounts,
    amount,
    cost_parts,
    dollars,
    missing_prices,
    request_costs,
)
from model_registry.selection.model_filter import ModelFilter, passing
from model_registry.selection.model_index import Mask, ModelIndex
from model_registry.snapshot.lookup import find_models
from model_registry.snapshot.snapshot import Snapshot


class EstimateFilter(ModelFilter, FewFields):
    """The filters of `GET /api/models`; a word that is none of them is refused."""

    model_config = ConfigDict(extra="forbid")


class EstimateRequest(TokenCounts, FewFields):
    """What is asked: requests of how many tokens, and at which models."""

    requests: Annotated[int, Field(ge=0, le=10**12)] = 1
    models: Annotated[list[LongName], Field(max_length=1000)] | None = Field(
        None,
        description="Ids, names, providers' names or aliases. A name of several providers selects all its rows.",
    )
    filter: EstimateFilter = Field(
        EstimateFilter(offered=True),
        description="Selects models when `models` is omitted. By default all offered models.",
    )
    limit: Annotated[int, Field(ge=1, le=10_000)] = 100


class Estimate(ModelLabel):
    """What the requests cost at one model."""

    input: Amount
    cached_input: Amount
    output: Amount
    per_request: Amount
    total: Amount


class Unpriced(ModelLabel):
    """A model of which it cannot be said."""

    why: str


class Estimates(BaseModel):
    """The models, cheapest first, then in their stable order."""

    currency: str
    items: list[Estimate]
    count: int
    unpriced: list[Unpriced]
    unpriced_count: int


def estimates(snapshot: Snapshot, index: ModelIndex, asked: EstimateRequest) -> View:
    """What the requests cost at each model that is meant. Errors: ModelNotFound, Invalid."""
    costs = request_costs(index, asked)
    mask = _meant(snapshot, index, asked)
    priced = sorted((costs.units[place], place) for place in index.places(mask & costs.known))
    unpriced = index.places(mask & ~costs.known)

    def estimate(units: int, place: int) -> dict[str, Any]:
        parts = {kind: amount(part) for kind, part in cost_parts(index, place, asked).items()}
        whole = {
            "per_request": amount(dollars(units, costs.digits)),
            "total": amount(dollars(units * asked.requests, costs.digits)),
        }
        return model_label_view(snapshot, index.rows[place]) | parts | whole

    return {
        "currency": CURRENCY,
        "items": [estimate(units, place) for units, place in priced[: asked.limit]],
        "count": len(priced),
        "unpriced": [_unpriced(snapshot, index, place, asked) for place in unpriced[: asked.limit]],
        "unpriced_count": len(unpriced),
    }


def _meant(snapshot: Snapshot, index: ModelIndex, asked: EstimateRequest) -> Mask:
    if asked.models is None:
        return passing(snapshot, index, asked.filter)
    ids = {model.id for name in asked.models for model in find_models(snapshot, name)}
    return index.mask_of(place for row_id in ids if (place := index.position(row_id)) is not None)


def _unpriced(snapshot: Snapshot, index: ModelIndex, place: int, asked: EstimateRequest) -> dict[str, Any]:
    missing = ", ".join(missing_prices(index, place, asked))
    return model_label_view(snapshot, index.rows[place]) | {"why": f"not known: {missing}"}
