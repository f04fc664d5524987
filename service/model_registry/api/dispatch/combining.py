"""Several predictions as one: their mean, or the one that most agree on. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal

import orjson

Aggregate = Literal["all", "mean", "majority", "first"]
AGGREGATES: tuple[Aggregate, ...] = ("all", "mean", "majority", "first")


def result_of(answer: Any) -> Any:  # noqa: ANN401 (any JSON)
    """Return what a service predicts: the field `result` of its answer, or where it has none the whole answer."""
    return answer["result"] if isinstance(answer, dict) and "result" in answer else answer


def mean(results: Sequence[Any]) -> Any:  # noqa: ANN401 (any JSON)
    """Return the mean of numbers, or of lists of the same shape, number by number. Errors: ValueError, the reason."""
    first = results[0]
    if isinstance(first, list):
        if any(not isinstance(result, list) or len(result) != len(first) for result in results):
            raise ValueError("the results are lists of different lengths")
        return [mean(numbers) for numbers in zip(*results, strict=True)]
    if any(isinstance(result, bool) or not isinstance(result, int | float) for result in results):
        raise ValueError("the results are not numbers or lists of numbers")
    return sum(results) / len(results)


def majority(results: Sequence[Any]) -> tuple[Any, int]:
    """Return the most frequent result, and how many agree on it; of equally frequent ones the earliest."""
    written = [orjson.dumps(result, option=orjson.OPT_SORT_KEYS) for result in results]
    (chosen, votes), *_ = Counter(written).most_common(1)
    return results[written.index(chosen)], votes
