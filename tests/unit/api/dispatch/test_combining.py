"""Several predictions as one."""

from __future__ import annotations

from typing import Any

import pytest

from model_registry.api.dispatch.combining import majority, mean, result_of


@pytest.mark.parametrize(
    ("results", "expected"),
    [([1, 2], 1.5), ([[1, 2], [3, 4.0]], [2.0, 3.0]), ([[[1], []], [[3], []]], [[2.0], []]), ([[1.0]], [1.0])],
)
def test_the_mean_is_taken_number_by_number(results: list[Any], expected: Any) -> None:
    assert mean(results) == expected


@pytest.mark.parametrize("results", [[[1], [1, 2]], [[1], 1], [1, [1]], ["a", "b"], [True, False], [None, None]])
def test_there_is_no_mean_of_what_differs_in_shape_or_is_no_number(results: list[Any]) -> None:
    with pytest.raises(ValueError, match="the results are"):
        mean(results)


def test_the_majority_is_what_most_say_and_then_what_was_asked_first() -> None:
    assert majority(["cat", "dog", "dog"]) == ("dog", 2)
    assert majority([{"a": 1, "b": 2}, {"b": 2, "a": 1}, 3]) == ({"a": 1, "b": 2}, 2)
    assert majority(["cat", "dog"]) == ("cat", 1)


def test_the_result_is_a_field_of_the_answer_or_all_of_it() -> None:
    assert result_of({"result": [1], "unit": "C"}) == [1]
    assert result_of([1]) == [1]
