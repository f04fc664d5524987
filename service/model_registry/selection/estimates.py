"""What requests cost at several models, cheapest first: `POST /api/costs/estimate`."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from model_registry.catalog.views import ModelLabel, View, model_label_view
from model_registry.entities.base import FewFields, LongName
from model_registry.selection.costs import (
    Amount,
    amount,
    cost_parts,
    dollars,
    missing_prices,
    not_included,
    request_costs,
)
from model_registry.selection.list_filters import ModelFilter, passing
from model_registry.selection.model_index import Mask, ModelIndex
from model_registry.selection.request_counts import TokenCounts
from model_registry.snapshot.lookup import find_models
from model_registry.snapshot.snapshot import Snapshot

CURRENCY = "USD"


class EstimateFilter(ModelFilter, FewFields):
    """The filters of `GET /api/models`; unknown fields are refused."""

    model_config = ConfigDict(extra="forbid")


class EstimateRequest(TokenCounts):
    """Number and size of the requests, and the models to compare."""

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
    """The cost of the requests at one model."""

    input: Amount
    cached_input: Amount
    output: Amount
    other: Amount = Field(description="Whatever is not charged by the token: images, seconds, requests, ...")
    per_request: Amount
    total: Amount
    not_included: list[str] = Field(
        description="What the model charges for, and the request says nothing of: it is taken as 0."
    )


class Unpriced(ModelLabel):
    """A model whose cost is unknown."""

    why: str


class Estimates(BaseModel):
    """Costs per model, cheapest first, then in stable order."""

    currency: str
    items: list[Estimate]
    count: int
    unpriced: list[Unpriced]
    unpriced_count: int


def estimates(snapshot: Snapshot, index: ModelIndex, request: EstimateRequest) -> View:
    """Estimate the cost at each selected model. Errors: ModelNotFound, Invalid."""
    costs = request_costs(index, request)
    mask = _meant(snapshot, index, request)
    priced = sorted((costs.units[position], position) for position in index.positions(mask & costs.known))
    unpriced = index.positions(mask & ~costs.known)

    def estimate(units: int, position: int) -> dict[str, Any]:
        parts = {kind: amount(part) for kind, part in cost_parts(index, position, request).items()}
        whole = {
            "per_request": amount(dollars(units, costs.digits)),
            "total": amount(dollars(units * request.requests, costs.digits)),
        }
        return (
            model_label_view(snapshot, index.rows[position])
            | parts
            | whole
            | {"not_included": not_included(index, position, request)}
        )

    return {
        "currency": CURRENCY,
        "items": [estimate(units, position) for units, position in priced[: request.limit]],
        "count": len(priced),
        "unpriced": [_unpriced(snapshot, index, position, request) for position in unpriced[: request.limit]],
        "unpriced_count": len(unpriced),
    }


def _meant(snapshot: Snapshot, index: ModelIndex, request: EstimateRequest) -> Mask:
    if request.models is None:
        return passing(snapshot, index, request.filter)
    ids = {model.id for name in request.models for model in find_models(snapshot, name)}
    return index.mask_of(position for row_id in ids if (position := index.position(row_id)) is not None)


def _unpriced(snapshot: Snapshot, index: ModelIndex, position: int, request: EstimateRequest) -> dict[str, Any]:
    missing = ", ".join(missing_prices(index, position, request))
    return model_label_view(snapshot, index.rows[position]) | {"why": f"not known: {missing}"}
