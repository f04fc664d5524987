"""How good a model is for a request: the parts of its score, each between 0 and 1.

- quality: the weighted mean of the quality scores that count. One that is not known counts as 0.
- cost and speed: half / (half + value), where half is the middle value of all models. So what costs as much as the
  middle one has 0.5, what costs nothing 1, and ten times as much 0.09: the scale follows the prices that there are, and
  one that is out of all proportion does not make the others alike. What is not known has 0.

So what is not known never wins over what is, and a model's score does not hang on who else breaks a constraint.
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
    """Its share of the whole: the weights of all parts are 1 together."""
    value: Callable[[int], float | None]
    """What is known of the model at a place."""
    normalised: Sequence[float]
    half: float | None = None
    """The value that is worth 0.5."""


def parts(index: ModelIndex, asked: SelectionRequest, costs: Costs) -> list[Part]:
    """The parts that count."""
    weights = asked.weights
    whole = weights.quality + weights.cost + weights.speed
    made = []
    if weights.quality:
        made.append(_quality(index, asked, weights.quality / whole))
    if weights.cost:
        made.append(_cost(index, asked, costs, weights.cost / whole))
    if weights.speed:
        made.append(_speed(index, weights.speed / whole))
    return made


def total(columns: Sequence[Sequence[float]], weights: Sequence[float]) -> list[float]:
    """The weighted sum, model by model, of one to three columns."""
    match columns, weights:
        case [one], [weight]:
            return [weight * value for value in one]
        case [one, other], [first, second]:
            return [first * a + second * b for a, b in zip(one, other, strict=True)]
        case _:
            first, second, third = weights
            return [first * a + second * b + third * c for a, b, c in zip(*columns, strict=True)]


def unknown_scores(index: ModelIndex, asked: SelectionRequest, place: int) -> list[str]:
    """The quality scores that count and are not known of a model."""
    return [
        score
        for score, weight in asked.quality_scores
        if weight and not has(index.known(f"quality_scores.{score}"), place)
    ]


def _quality(index: ModelIndex, asked: SelectionRequest, share: float) -> Part:
    counting = tuple((score, weight) for score, weight in asked.quality_scores if weight)
    normalised = index.memo_lru(("quality", counting), lambda: _mean(index, counting))

    def value(place: int) -> float | None:
        return None if len(unknown_scores(index, asked, place)) == len(counting) else normalised[place]

    return Part("quality", "0 to 1", share, value, normalised)


def _mean(index: ModelIndex, counting: Sequence[tuple[str, float]]) -> list[float]:
    """The weighted mean of some quality scores of each model, unknown ones as 0."""
    whole = sum(weight for _, weight in counting)
    mean = [0.0] * len(index.rows)
    for score, weight in counting:
        share, column = weight / whole, index.numbers(f"quality_scores.{score}")
        mean = [m + share * v if v > 0 else m for m, v in zip(mean, column, strict=True)]
    return mean


def _cost(index: ModelIndex, asked: SelectionRequest, costs: Costs, share: float) -> Part:
    what = ("cost", *(number for _, number in asked.tokens))
    half, normalised = index.memo_lru(what, lambda: _lower_is_better(index, costs.units, costs.known))
    one = 10**costs.digits

    def value(place: int) -> float | None:
        return costs.units[place] / one if has(costs.known, place) else None

    return Part("cost", "US dollars a request", share, value, normalised, None if half is None else half / one)


def _speed(index: ModelIndex, share: float) -> Part:
    latencies, known = index.numbers("latency_p50_ms"), index.known("latency_p50_ms")
    half, normalised = index.memo("speed", lambda: _lower_is_better(index, latencies, known))

    def value(place: int) -> float | None:
        return latencies[place] if has(known, place) else None

    return Part("speed", "milliseconds (p50)", share, value, normalised, half)


def _lower_is_better(index: ModelIndex, values: Sequence[float], known: Mask) -> tuple[float | None, list[float]]:
    """The middle value, and each value as a share of 1; 0 for what is not known."""
    ordered = sorted(index.select(known, values))
    flags = index.flags(known)
    half = ordered[(len(ordered) - 1) // 2] if ordered else None
    if not half:  # nothing is known, or half of them cost nothing: then all that can be said is which ones do
        return half, [1.0 if there and value == 0 else 0.0 for value, there in zip(values, flags, strict=True)]
    return half, [half / (half + value) if there else 0.0 for value, there in zip(values, flags, strict=True)]
