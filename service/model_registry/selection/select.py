"""Selects models for a request: those that satisfy all constraints, best first, with their scores' parts.

Deterministic: models with equal scores keep the catalogue's stable order, whatever the order of their rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from heapq import nlargest
from itertools import islice
from typing import Any

from pydantic import BaseModel, Field

from model_registry.catalog.views import ModelLabel, ModelView, View, model_label_view, model_view
from model_registry.selection.constraints import Check, checks
from model_registry.selection.costs import Amount, Costs, amount, request_costs
from model_registry.selection.model_index import Mask, ModelIndex, has
from model_registry.selection.request import SelectionRequest
from model_registry.selection.scoring import Part, parts, total, unknown_scores
from model_registry.snapshot.snapshot import Snapshot


class ScorePart(BaseModel):
    """One part of a score."""

    name: str = Field(examples=["cost"])
    value: float | None = Field(description="The model's value; null: unknown.")
    unit: str
    normalised: float = Field(description="0 to 1, more is better.")
    half: float | None = Field(description="The value that is normalised to 0.5: the median of all models.")
    weight: float = Field(description="Its share; all shares sum to 1.")
    unknown: list[str] = Field(description="Requested quality scores that are unknown, counted as 0.")


class Choice(BaseModel):
    """A model that satisfies all constraints."""

    rank: int
    score: float = Field(description="Weighted sum of the parts' normalised values: 0 to 1.")
    parts: list[ScorePart]
    cost: Amount | None = Field(description="Cost of one request; null where a price is unknown.")
    model: ModelView


class Broken(BaseModel):
    """A constraint that a model violates."""

    constraint: str
    message: str


class ExcludedModel(ModelLabel):
    """A model that violates a constraint."""

    reasons: list[Broken]


class Excluded(BaseModel):
    """The models that violate constraints."""

    count: int
    by_constraint: dict[str, int] = Field(description="Violating models per constraint; a model may count at several.")
    models: list[ExcludedModel] = Field(description="The first excluded models, in the catalogue's order.")


class Selection(BaseModel):
    """Result of a selection."""

    items: list[Choice]
    count: int = Field(description="Number of models that satisfy all constraints.")
    excluded: Excluded


def select(snapshot: Snapshot, index: ModelIndex, request: SelectionRequest) -> View:
    """Select the models for a request. Errors: Invalid, for an unknown constraint."""
    costs = request_costs(index, request.tokens)
    applied = list(checks(snapshot, index, request, costs))
    fitting = index.everything
    for check in applied:
        fitting &= check.passing
    scored = parts(index, request, costs)
    positions = index.positions(fitting)
    scores = total([index.select(fitting, part.normalised) for part in scored], [part.weight for part in scored])
    # nlargest keeps the first of equal scores.
    best = nlargest(request.limit, range(len(positions)), key=scores.__getitem__)
    return {
        "items": [
            {
                "rank": rank,
                "score": scores[number],
                "parts": [_part(index, request, part, positions[number]) for part in scored],
                "cost": _cost(costs, positions[number]),
                "model": model_view(snapshot, index.rows[positions[number]]),
            }
            for rank, number in enumerate(best, start=1)
        ],
        "count": len(positions),
        "excluded": _excluded(snapshot, index, applied, index.everything ^ fitting, request.excluded_limit),
    }


def _part(index: ModelIndex, request: SelectionRequest, part: Part, position: int) -> dict[str, Any]:
    return {
        "name": part.name,
        "value": part.value(position),
        "unit": part.unit,
        "normalised": part.normalised[position],
        "half": part.half,
        "weight": part.weight,
        "unknown": unknown_scores(index, request, position) if part.name == "quality" else [],
    }


def _cost(costs: Costs, position: int) -> dict[str, Any] | None:
    dollars = costs.dollars(position)
    return None if dollars is None else amount(dollars)


def _excluded(
    snapshot: Snapshot, index: ModelIndex, applied: Sequence[Check], mask: Mask, limit: int
) -> dict[str, Any]:
    """List the excluded models with reasons."""
    broken = [(check, failing) for check in applied if (failing := check.passing ^ index.everything)]

    def reasons(position: int) -> list[dict[str, str]]:
        return [
            {"constraint": check.name, "message": check.why(position)}
            for check, failing in broken
            if has(failing, position)
        ]

    return {
        "count": mask.bit_count(),
        "by_constraint": {check.name: failing.bit_count() for check, failing in broken},
        "models": [
            model_label_view(snapshot, index.rows[position]) | {"reasons": reasons(position)}
            for position in islice(index.positions(mask), limit)
        ],
    }
