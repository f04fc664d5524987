"""Choosing models for a request: those that break no constraint, best first, and why each is where it is.

Deterministic: models of equal scores keep the catalogue's stable order, whatever order their rows came in.
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
    value: float | None = Field(description="What the registry knows of the model; null: nothing.")
    unit: str
    normalised: float = Field(description="0 to 1, more is better.")
    half: float | None = Field(description="The value that is normalised to 0.5: the middle one of all models.")
    weight: float = Field(description="Its share; all shares are 1 together.")
    unknown: list[str] = Field(description="Quality scores that count and are not known: taken as 0.")


class Choice(BaseModel):
    """A model that breaks no constraint."""

    rank: int
    score: float = Field(description="The parts' normalised values by their weights, summed: 0 to 1.")
    parts: list[ScorePart]
    cost: Amount | None = Field(description="Of one request; null where a price is not known.")
    model: ModelView


class Broken(BaseModel):
    """A constraint that a model breaks."""

    constraint: str
    message: str


class ExcludedModel(ModelLabel):
    """A model that breaks a constraint."""

    reasons: list[Broken]


class Excluded(BaseModel):
    """The models that break constraints."""

    count: int
    by_constraint: dict[str, int] = Field(description="How many break each; one that breaks two counts at both.")
    models: list[ExcludedModel] = Field(description="The first of them, in the catalogue's order.")


class Selection(BaseModel):
    """The answer."""

    items: list[Choice]
    count: int = Field(description="How many break no constraint.")
    excluded: Excluded


def select(snapshot: Snapshot, index: ModelIndex, asked: SelectionRequest) -> View:
    """Select the models for a request. Errors: Invalid, for an unknown constraint."""
    costs = request_costs(index, asked.tokens)
    applied = list(checks(snapshot, index, asked, costs))
    fitting = index.everything
    for check in applied:
        fitting &= check.passing
    found = parts(index, asked, costs)
    places = index.places(fitting)
    scores = total([index.select(fitting, part.normalised) for part in found], [part.weight for part in found])
    # Of equal ones the first.
    best = nlargest(asked.limit, range(len(places)), key=scores.__getitem__)
    return {
        "items": [
            {
                "rank": rank,
                "score": scores[number],
                "parts": [_part(index, asked, part, places[number]) for part in found],
                "cost": _cost(costs, places[number]),
                "model": model_view(snapshot, index.rows[places[number]]),
            }
            for rank, number in enumerate(best, start=1)
        ],
        "count": len(places),
        "excluded": _excluded(snapshot, index, applied, index.everything ^ fitting, asked.excluded_limit),
    }


def _part(index: ModelIndex, asked: SelectionRequest, part: Part, place: int) -> dict[str, Any]:
    return {
        "name": part.name,
        "value": part.value(place),
        "unit": part.unit,
        "normalised": part.normalised[place],
        "half": part.half,
        "weight": part.weight,
        "unknown": unknown_scores(index, asked, place) if part.name == "quality" else [],
    }


def _cost(costs: Costs, place: int) -> dict[str, Any] | None:
    dollars = costs.dollars(place)
    return None if dollars is None else amount(dollars)


def _excluded(
    snapshot: Snapshot, index: ModelIndex, applied: Sequence[Check], mask: Mask, limit: int
) -> dict[str, Any]:
    """Who is left out, and why."""
    broken = [(check, failing) for check in applied if (failing := check.passing ^ index.everything)]

    def reasons(place: int) -> list[dict[str, str]]:
        return [
            {"constraint": check.name, "message": check.why(place)} for check, failing in broken if has(failing, place)
        ]

    return {
        "count": mask.bit_count(),
        "by_constraint": {check.name: failing.bit_count() for check, failing in broken},
        "models": [
            model_label_view(snapshot, index.rows[place]) | {"reasons": reasons(place)}
            for place in islice(index.places(mask), limit)
        ],
    }
