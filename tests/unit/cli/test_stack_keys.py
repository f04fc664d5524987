"""What `model-registry up` reports of its environment: what brings a provider in, and nothing that takes one away."""

from __future__ import annotations

from typing import Any

import pytest

from model_registry.cli.stack_keys import names_to_report

KEYS = {"A": "x", "B": "x", "EMPTY": "", "UNRELATED": "x"}


def view(environment: list[str] | None = None, variables: str = "", missing: str = "") -> dict[str, Any]:
    named = {"variables": variables, "missing": missing}
    return {"environment": environment, **{key: [{"name": n} for n in names] for key, names in named.items()}}


@pytest.mark.parametrize(
    ("found", "names", "absent"),
    [
        (view(missing="AC"), ["A"], []),
        (view(missing="C"), [], []),
        (view(variables="A", missing="B"), ["A", "B"], []),
        (view(variables="C", missing="A"), ["A"], ["C"]),
        (view(["C"], variables="C", missing="A"), ["A"], []),
        (view(["A", "B"], variables="AB"), [], []),
        ({**view(missing="A"), "missing": [{"name": "EMPTY"}]}, [], []),
    ],
    ids=["set", "not set", "two", "would take one away", "known already", "no news", "empty"],
)
def test_names_are_reported_that_bring_something(found: dict[str, Any], names: list[str], absent: list[str]) -> None:
    assert names_to_report(found, KEYS) == (names, absent)
