"""What an import does, for people: the plan, its entries, and differences in words. Decides nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from model_registry.entities.change import Operation

Outcome = Literal["created", "changed", "unchanged", "normalised", "removed"]

_LONGEST = 60


@dataclass(frozen=True, slots=True)
class ReportEntry:
    """One thing the project says, and what became of it."""

    action: Outcome
    """`normalised`: said in other words than the project's, with the same meaning."""
    kind: str
    """provider, model, embedding model, alias, function, variant, section, file, project."""
    name: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class ImportPlan:
    """What has to be written for the registry to hold a project, and the report of it."""

    operations: tuple[Operation, ...]
    """In an order that satisfies the foreign keys. None: the registry holds the project already."""
    report: tuple[ReportEntry, ...]

    def count(self, action: Outcome) -> int:
        """How many entries of the report have this outcome."""
        return sum(entry.action == action for entry in self.report)


def same(one: Any, other: Any) -> bool:  # noqa: ANN401 (any JSON value)
    """Whether two JSON values mean the same to the gateway, which keeps 1, 1.0 and true apart."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if type(one) is not type(other):
        return False
    return bool(one == other)


def differences(old: Any, new: Any, name: str) -> Iterator[str]:  # noqa: ANN401 (any JSON value)
    """What changed, one line a value: `weight 1.0 -> 0.3`."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in dict.fromkeys([*old, *new]):
            if key not in new:
                yield f"{name}.{key} {short(old[key])} removed"
            elif key not in old:
                yield f"{name}.{key} {short(new[key])} added"
            elif not same(old[key], new[key]):
                yield from differences(old[key], new[key], f"{name}.{key}")
    else:
        yield f"{name} {short(old)} -> {short(new)}"


def short(value: Any) -> str:  # noqa: ANN401 (any JSON value)
    """A value in a few characters."""
    if value is None:
        return "none"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
