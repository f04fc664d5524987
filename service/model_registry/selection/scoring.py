"""Scores models for a request: the parts of the score, each between 0 and 1.

- quality: the weighted mean of the requested quality scores. Unknown ones count as 0.
- cost and speed: half / (half + value), where half is the median of all models. So the median cost scores 0.5, no cost
  scores 1, and ten times the median 0.09: the scale follows the actual prices, and an extreme one does not make all
  others alike. Unknown values score 0.

So an unknown value never beats a known one, and a model's score does not depend on which others are excluded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from model_registry.selection.costs import Costs
from model_registry.selection.model_index import Mask, ModelIndex, has
from model_registry.selection.request import SelectionRequest


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the scores of all models of an index."""

    name: str
    unit: str
    weight: float
    """Its share; the weights of all parts sum to 1."""
    value: Callable[[int], float | None]
    """Returns the value of the model at a position; None where unknown."""
    normalised: Sequence[float]
    half: float | None = None
    """The value that scores 0.5."""


def parts(index: ModelIndex, request: SelectionRequest, costs: Costs) -> list[Part]:
    """Compute the parts with a weight."""
    weights = request.weights
    whole = weights.quality + weights.cost + weights.speed
    made = []
    if weights.quality:
        made.append(_quality(index, request, weights.quality / whole))
    if weights.cost:
        made.append(_cost(index, request, costs, weights.cost / whole))
    if weights.speed:
        made.append(_speed(index, weights.speed / whole))
    return made


def total(columns: Sequence[Sequence[float]], weights: Sequence[float]) -> list[float]:
    """Compute the weighted sum of one to three columns, per model."""
    match columns, weights:
        case [one], [weight]:
            return [weight * value for value in one]
        case [one, other], [first, second]:
            return [first * a + second * b for a, b in zip(one, other, strict=True)]
        case _:
            first, second, third = weights
            return [first * a + second * b + third * c for a, b, c in zip(*columns, strict=True)]


def unknown_scores(index: ModelIndex, request: SelectionRequest, position: int) -> list[str]:
    """Return the requested quality scores that a model lacks."""
    return [
        score
        for score, weight in request.quality_scores
        if weight and not has(index.known(f"quality_scores.{score}"), position)
    ]


def _quality(index: ModelIndex, request: SelectionRequest, share: float) -> Part:
    counting = tuple((score, weight) for score, weight in request.quality_scores if weight)
    normalised = index.memo_lru(("quality", counting), lambda: _mean(index, counting))

    def value(position: int) -> float | None:
        return None if len(unknown_scores(index, request, position)) == len(counting) else normalised[position]

    return Part("quality", "0 to 1", share, value, normalised)


def _mean(index: ModelIndex, counting: Sequence[tuple[str, float]]) -> list[float]:
    """Compute the weighted mean of quality scores per model, with unknown ones as 0."""
    whole = sum(weight for _, weight in counting)
    mean = [0.0] * len(index.rows)
    for score, weight in counting:
        share, column = weight / whole, index.numbers(f"quality_scores.{score}")
        mean = [m + share * v if v > 0 else m for m, v in zip(mean, column, strict=True)]
    return mean


def _cost(index: ModelIndex, request: SelectionRequest, costs: Costs, share: float) -> Part:
    what = ("cost", request.tokens.key)
    half, normalised = index.memo_lru(what, lambda: _lower_is_better(index, costs.units, costs.known))
    one = 10**costs.digits

    def value(position: int) -> float | None:
        return costs.units[position] / one if has(costs.known, position) else None

    return Part("cost", "US dollars a request", share, value, normalised, None if half is None else half / one)


def _speed(index: ModelIndex, share: float) -> Part:
    latencies, known = index.numbers("latency_p50_ms"), index.known("latency_p50_ms")
    half, normalised = index.memo("speed", lambda: _lower_is_better(index, latencies, known))

    def value(position: int) -> float | None:
        return latencies[position] if has(known, position) else None

    return Part("speed", "milliseconds (p50)", share, value, normalised, half)


def _lower_is_better(index: ModelIndex, values: Sequence[float], known: Mask) -> tuple[float | None, list[float]]:
    """Return the median, and each value's score; 0 where unknown."""
    ordered = sorted(index.select(known, values))
    flags = index.flags(known)
    half = ordered[(len(ordered) - 1) // 2] if ordered else None
    if not half:  # nothing is known, or half of the models cost nothing: then only cost or no cost counts
        return half, [1.0 if there and value == 0 else 0.0 for value, there in zip(values, flags, strict=True)]
    return half, [half / (half + value) if there else 0.0 for value, there in zip(values, flags, strict=True)]
