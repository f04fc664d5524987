"""What the gateway and the rules accept, and a person probably did not mean: warnings, never a reason to refuse."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from model_registry.entities.provider_types import is_test_model
from model_registry.errors import Reason
from model_registry.gateways.tensorzero.project import Path, Table, dotted

OF_TEST_MODEL = (
    "is of the provider for TensorZero's own tests: released gateways load it, and every call fails; "
    "name a real model before requests come"
)


def doubts(tree: Table, has_model: Callable[[str], bool]) -> list[Reason]:
    """Return the warnings about a configuration.

    Args:
        tree: the configuration, or a part of it.
        has_model: whether the whole configuration has a table for a model; then it is no test model.
    """
    owners = [(section, tree[section]) for section in ("functions", "evaluations") if section in tree]
    found = [item for section, table in owners for item in _models((section,), table)]
    return [Reason(dotted(path), f"{name!r} {OF_TEST_MODEL}") for path, name in found if not has_model(name)]


def _models(path: Path, value: Any) -> Iterator[tuple[Path, str]]:  # noqa: ANN401 (any TOML value)
    """Yield the test models that variants name."""
    if isinstance(value, list):
        for number, item in enumerate(value):
            yield from _models((*path, str(number)), item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key == "model" and is_test_model(item):
                yield (*path, key), item
            else:
                yield from _models((*path, key), item)
